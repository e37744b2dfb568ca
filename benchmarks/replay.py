#!/usr/bin/env python3
"""What train.replay_check_steps costs: a step that is computed twice and compared, against one that is not.

    .venv/bin/python benchmarks/replay.py [--steps N] [--threads N]

SmolLM2-135M in float32, cached reference, every step of the same 16 pairs. Seconds are those of steps in one run, of which
each second one is repeated (`step_time_s`, min / median / max without the first two). CPU seconds a step are of two runs, one
without and one with all steps repeated: what either takes for N steps more than for two.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import tempfile
from pathlib import Path

import measure

PROGRAM = measure.ROOT / "build/release/bin/ddro-train"


class Folder:
    def __init__(self, path, data, model, threads):
        self.path, self.model, self.environment = Path(path), model, measure.environment(threads)
        measure.write_rows(data, 16, self.path / "rows.jsonl")

    def run(self, steps, replay_check_steps):
        """Times of the steps, and the CPU seconds of the process."""
        output = self.path / f"run_{steps}_{replay_check_steps}"
        config = self.path / "run.yaml"
        config.write_text(json.dumps({
            "model": {"model_name_or_path": self.model, "dtype": "float32"},
            "reference": {"ref_cache_dir": str(self.path / "ref_cache")},
            "data": {"train_files": [str(self.path / "rows.jsonl")], "max_length": 4096},
            "train": {"output_dir": str(output), "train_batch_size": 16, "micro_batch_tokens": 2048, "max_steps": steps,
                      "replay_check_steps": replay_check_steps},
            "eval": {"eval_strategy": "no", "eval_on_start": False},
            "checkpoint": {"save_strategy": "no"}}), encoding="utf-8")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([PROGRAM, "train", config], env=self.environment, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return [line["step_time_s"] for line in lines if line["kind"] == "train"], cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(measure.ROOT / "models/SmolLM2-135M-Instruct"))
    parser.add_argument("--data", choices=measure.DATA_NAMES, default="brief")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--steps", type=int, default=6)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Folder(scratch, arguments.data, arguments.model, arguments.threads)
        folder.run(1, 0)  # fills the reference's cache
        times, _ = folder.run(2 + 2 * arguments.steps, 2)
        cpu = {}
        for every in (0, 1):
            short, long = folder.run(2, every)[1], folder.run(2 + arguments.steps, every)[1]
            cpu[every] = (long - short) / arguments.steps
    plain, repeated = times[2::2], times[3::2]
    ratio = statistics.median(repeated) / statistics.median(plain)
    print(f"{arguments.data}, {arguments.threads} threads: a step {measure.spread(plain)} s, repeated "
          f"{measure.spread(repeated)} s ({ratio:.2f} times); CPU {cpu[0]:.2f} s and {cpu[1]:.2f} s "
          f"({cpu[1] / cpu[0]:.2f} times)")


if __name__ == "__main__":
    main()
