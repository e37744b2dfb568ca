#!/usr/bin/env python3
"""What checkpoints cost the steps, written beside them (checkpoint.async_save) and while they wait.

    .venv/bin/python benchmarks/saves.py [--scratch DIR]        DIR: on the disk to be measured

A model of SmolLM2-135M's shape with random weights in float32, 4 `brief` pairs a step, 12 steps, a checkpoint after 4
and 8 and at the end. Of the first two: how long each took to reach the disk, and how long the steps waited for it. Steps:
median seconds of those during a write, and of the others. The peak is of the resident memory up to the last step.
"""
import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measure

PROGRAM = measure.ROOT / "build/release/bin/ddro-train"
SAVED = re.compile(r"(\d\d):(\d\d):(\d\d) .*saved .*step_(\d+) in ([0-9.]+) s(?:, the steps waited ([0-9.]+) s)?")
STEPS, SAVE_STEPS = 12, 4


def run(model, rows, scratch, threads, settings):
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        output, config = Path(folder) / "run", Path(folder) / "run.yaml"
        config.write_text(json.dumps({
            "model": {"model_name_or_path": str(model), "dtype": "float32"},
            "data": {"train_files": [str(rows)], "max_length": 4096},
            "train": {"output_dir": str(output), "train_batch_size": 4, "micro_batch_tokens": 2048, "max_steps": STEPS},
            "eval": {"eval_strategy": "no", "eval_on_start": False},
            "checkpoint": {"save_total_limit": 2} | settings}), encoding="utf-8")
        command = [str(PROGRAM), "train", str(config)]
        environment = measure.environment(threads)
        plan = subprocess.run(command + ["--dry-run"], env=environment, check=True, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL).stdout
        start = time.monotonic()
        log = subprocess.run(command, env=environment, check=True, text=True, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE).stderr
        seconds = time.monotonic() - start
        lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return {"estimate": float(re.search(r"memory: ([0-9.]+) GB", plan).group(1)), "seconds": seconds, "log": log,
            "steps": lines}


def steps_during_writes(log):
    """Those whose line comes between that of a checkpoint's own step and `saved`."""
    during, writing = set(), None
    for line in log.splitlines():
        if match := re.search(r"step (\d+)/\d+ ", line):
            step = int(match.group(1))
            if writing is not None:
                during.add(step)
            if step % SAVE_STEPS == 0 and step < STEPS:
                writing = step
        elif SAVED.search(line):
            writing = None
    return during


def report(name, result):
    saves = [match for match in map(SAVED.search, result["log"].splitlines()) if match and int(match.group(4)) < STEPS]
    writes = [float(match.group(5)) for match in saves]
    waits = [float(match.group(6) or match.group(5)) for match in saves]
    during = steps_during_writes(result["log"])
    times = {line["step"]: line["step_time_s"] for line in result["steps"]}
    others = [seconds for step, seconds in times.items() if step not in during and step > 1]
    beside = [seconds for step, seconds in times.items() if step in during]
    figure = lambda values, form: form.format(statistics.median(values)) if values else "-"
    share = [f"{100 * wait / write:.1f}" for wait, write in zip(waits, writes)]
    peak = result["steps"][-1]["peak_memory_bytes"] / 1e9
    print(f"{name:>8}  write {', '.join(f'{value:.2f}' for value in writes) or '-'} s  waited "
          f"{', '.join(f'{value:.2f}' for value in waits) or '-'} s ({', '.join(share) or '-'} %)  step "
          f"{figure(others, '{:.2f}')} s, during a write {figure(beside, '{:.2f}')} s  run {result['seconds']:.1f} s  "
          f"memory: estimate {result['estimate']:.2f}, peak {peak:.2f} GB", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scratch", type=Path, default=None, help="folder of the runs, by default the system's own")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        model, rows = Path(folder) / "model", Path(folder) / "rows.jsonl"
        subprocess.run([sys.executable, Path(__file__).with_name("random_model.py"), "smollm2-135m", model], check=True)
        measure.write_rows("brief", 48, rows)
        for _ in range(arguments.rounds):
            for name, settings in {"beside": {"save_steps": SAVE_STEPS},
                                   "waiting": {"save_steps": SAVE_STEPS, "async_save": False},
                                   "none": {"save_steps": 1000}}.items():
                report(name, run(model, rows, arguments.scratch, arguments.threads, settings))


if __name__ == "__main__":
    main()
