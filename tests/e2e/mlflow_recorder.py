"""Stands in for an MLflow tracking server: keeps what it is sent, by the rules of MLflow's REST interface.

usage: mlflow_recorder.py FOLDER [--port N] [--delay SECONDS] [--fail N]

Writes the port to FOLDER/port once it listens, and every request that it accepts to FOLDER/requests.jsonl. --delay:
waits so long before it answers; --fail: answers the first N requests with status 503.
"""
import argparse
import json
import os
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

NAME = re.compile(r"[\w.\-: /]+", re.A)

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--delay", type=float, default=0)
parser.add_argument("--fail", type=int, default=0)
options = parser.parse_args()

lock = threading.Lock()
experiments, runs = {"Default": "0"}, {}
failures = options.fail


class Refused(Exception):
    pass


def require(condition, status, message):
    if not condition:
        raise Refused(status, message)


def create_experiment(body):
    require(body["name"] not in experiments, 400, "the experiment exists")
    experiments[body["name"]] = str(len(experiments))
    return {"experiment_id": experiments[body["name"]]}


def create_run(body):
    require(body["experiment_id"] in experiments.values(), 404, "no such experiment")
    require(isinstance(body["start_time"], int) and isinstance(body["run_name"], str), 400, "of another type")
    run_id = f"{len(runs):032x}"
    runs[run_id] = {"params": {}, "metrics": {}}
    return {"run": {"info": {"run_id": run_id, "status": "RUNNING"}}}


def log_batch(body):
    metrics, params = body.get("metrics", []), body.get("params", [])
    require(body["run_id"] in runs, 404, "no such run")
    require(len(metrics) <= 1000 and len(params) <= 100, 400, "too many at once")
    for metric in metrics:
        require(NAME.fullmatch(metric["key"]), 400, f"not a name: {metric['key']}")
        require(type(metric["value"]) in (int, float), 400, f"not a number: {metric}")
        require(type(metric["timestamp"]) is int and type(metric["step"]) is int, 400, f"no place: {metric}")
    known, latest = runs[body["run_id"]]["params"], runs[body["run_id"]]["metrics"]
    for param in params:
        require(NAME.fullmatch(param["key"]) and len(param["value"]) <= 500, 400, f"not a parameter: {param}")
        require(known.setdefault(param["key"], param["value"]) == param["value"], 400, f"changed: {param}")
    for metric in metrics:
        if metric["step"] >= latest.get(metric["key"], metric)["step"]:
            latest[metric["key"]] = metric
    return {}


def update_run(body):
    require(body["run_id"] in runs, 404, "no such run")
    require(body["status"] in ("RUNNING", "FINISHED"), 400, "no such status")
    return {"run_info": {"run_id": body["run_id"]}}


ROUTES = {"experiments/create": create_experiment, "runs/create": create_run, "runs/log-batch": log_batch,
          "runs/update": update_run}


def get_experiment(experiment_name):
    require(experiment_name in experiments, 404, "no such experiment")
    return {"experiment": {"experiment_id": experiments[experiment_name], "name": experiment_name}}


def get_run(run_id):
    require(run_id in runs, 404, "no such run")
    params = [{"key": key, "value": value} for key, value in runs[run_id]["params"].items()]
    metrics = list(runs[run_id]["metrics"].values())
    return {"run": {"info": {"run_id": run_id}, "data": {"metrics": metrics, "params": params}}}


QUERIES = {"experiments/get-by-name": get_experiment, "runs/get": get_run}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle_one(self, path, compute, body):
        global failures
        time.sleep(options.delay)
        with lock:
            try:
                if failures > 0:
                    failures -= 1
                    raise Refused(503, "not now")
                result = compute()
                with open(f"{options.folder}/requests.jsonl", "a", encoding="utf-8") as file:
                    file.write(json.dumps({"path": path, "body": body, "login": self.headers["Authorization"]}) + "\n")
            except Refused as refused:
                return self.answer(refused.args[0], {"error_code": "REFUSED", "message": refused.args[1]})
        return self.answer(200, result)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.removeprefix("/api/2.0/mlflow/")
        if self.headers["Content-Type"] != "application/json" or path not in ROUTES:
            return self.answer(404, {"message": f"no such endpoint: {self.path}"})
        return self.handle_one(path, lambda: ROUTES[path](body), body)

    def do_GET(self):
        path = urlparse(self.path).path.removeprefix("/api/2.0/mlflow/")
        if path not in QUERIES:
            return self.answer(404, {"message": f"no such endpoint: {self.path}"})
        query = {name: values[0] for name, values in parse_qs(urlparse(self.path).query).items()}
        return self.handle_one(path, lambda: QUERIES[path](**query), query)


server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
with open(f"{options.folder}/port.new", "w", encoding="utf-8") as file:
    file.write(str(server.server_port))
os.rename(f"{options.folder}/port.new", f"{options.folder}/port")
server.serve_forever()
