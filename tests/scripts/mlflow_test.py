"""A run's metrics on a real MLflow server, as MLflow's own client reads them.

    .venv/bin/python tests/scripts/mlflow_test.py

MLflow has an environment of its own, since it asks for many packages: python3 -m venv .cache/mlflow/venv, then
.cache/mlflow/venv/bin/pip install mlflow. Without it the test is skipped.
"""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("DDRO_TRAIN", ROOT / "build/release/bin/ddro-train"))
TINY = Path(os.environ.get("DDRO_FIXTURES", ROOT / ".cache/fixtures")) / "tiny_run"
MLFLOW = ROOT / ".cache/mlflow/venv/bin"

CONFIG = f"""
model: {{model_name_or_path: {TINY}/model, dtype: float32}}
data: {{train_files: [{TINY}/pairs_train.jsonl], eval_files: {{held_out: {TINY}/pairs_eval.jsonl}}, max_length: 128}}
train: {{output_dir: OUTPUT, train_batch_size: 8, num_train_epochs: 4}}
eval: {{eval_steps: 7}}
checkpoint: {{save_steps: 3}}
logging: {{report_to: [jsonl, mlflow]}}
"""
# Prints a run's state, parameters and every value of every metric that MLflow has.
READ = """
import json
from mlflow import MlflowClient
client = MlflowClient()
experiment = client.get_experiment_by_name("tiny")
[run] = client.search_runs([experiment.experiment_id])
values = {key: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, key)] for key in run.data.metrics}
print(json.dumps({"status": run.info.status, "name": run.info.run_name, "params": run.data.params, "values": values}))
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@unittest.skipUnless((MLFLOW / "mlflow").exists(), "there is no MLflow in .cache/mlflow/venv")
class RealServer(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        uri = f"http://127.0.0.1:{free_port()}"
        self.environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "MLFLOW_EXPERIMENT_NAME": "tiny",
                            "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        self.start_server(uri)

    def start_server(self, uri):
        log = open(self.folder / "server.log", "w", encoding="utf-8")
        self.addCleanup(log.close)
        server = subprocess.Popen(
            [MLFLOW / "mlflow", "server", "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db",
             "--artifacts-destination", self.folder / "artifacts", "--host", "127.0.0.1",
             "--port", uri.rsplit(":", 1)[1], "--workers", "1"],
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            env={**self.environment, "PATH": f"{MLFLOW}:{os.environ['PATH']}"})
        self.addCleanup(server.wait)
        self.addCleanup(os.killpg, server.pid, signal.SIGKILL)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for _ in range(240):
            try:
                return opener.open(f"{uri}/health", timeout=5).close()
            except OSError:
                time.sleep(0.5)
        self.fail((self.folder / "server.log").read_text())

    def train(self, *more):
        config = self.folder / "run.yaml"
        config.write_text(CONFIG.replace("OUTPUT", f"{self.folder}/run"))
        return subprocess.Popen([PROGRAM, "train", config, *more], env=self.environment, text=True,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def test_every_value_is_there_once_after_a_kill(self):
        with self.train() as first:
            for line in first.stderr:
                if "step 11/28" in line:
                    first.send_signal(signal.SIGKILL)
                    break
        with self.train() as second:
            _, log = second.communicate(timeout=300)
        self.assertEqual(second.returncode, 0, log)
        self.assertNotIn("[mlflow]", log)
        read = subprocess.run([MLFLOW / "python", "-c", READ], env=self.environment, text=True, capture_output=True)
        self.assertEqual(read.returncode, 0, read.stderr)
        got = json.loads(read.stdout)
        self.assertEqual((got["status"], got["name"]), ("FINISHED", "run"))
        self.assertEqual(got["params"]["train.train_batch_size"], "8")
        expected = {}
        for line in (self.folder / "run/metrics.jsonl").read_text().splitlines():
            metrics = json.loads(line)
            for key, value in metrics.items():
                if key not in ("kind", "step") and value is not None:
                    expected.setdefault(key, []).append((metrics["step"], value))
        timed = {"step_time_s", "data_wait_s", "tokens_per_second", "mfu", "peak_memory_bytes", "eval_runtime"}
        self.assertEqual(set(got["values"]), set(expected))
        for key, values in expected.items():
            found = sorted(map(tuple, got["values"][key]))
            self.assertEqual([step for step, _ in found], [step for step, _ in values], key)
            if key not in timed:  # steps behind the checkpoint were made twice: the same numbers, other times
                self.assertEqual(found, values, key)


if __name__ == "__main__":
    unittest.main()
