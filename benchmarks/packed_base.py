#!/usr/bin/env python3
"""Memory of a whole run that trains a LoRA on a GGUF file as it is.

    .venv/bin/python benchmarks/packed_base.py MODEL.gguf [--steps N] [--dtype bfloat16]

A LoRA of rank 16, N steps (3) of 16 rows of data/brief_labels_train.jsonl, from reading to the check of final/. Peak resident
memory of the steps and of the whole run, that without the pages of files, and what --dry-run estimates. Needs a release build,
and a model with a chat template.
"""
import argparse
import json
import re
import subprocess
import tempfile
import time
from pathlib import Path

from large_set import Memory
from measure import ROOT, environment
from startup import PROGRAM


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--dtype", default="auto", help="model.dtype; auto is float32 on a CPU without bfloat16 of its own")
    arguments = parser.parse_args()
    num_rows = 16 * arguments.steps
    with tempfile.TemporaryDirectory() as scratch:
        rows, config, log = (Path(scratch) / name for name in ("rows.jsonl", "run.yaml", "log.txt"))
        rows.write_text("".join((ROOT / "data/brief_labels_train.jsonl").read_text().splitlines(keepends=True)[:num_rows]))
        config.write_text(json.dumps({
            "model": {"model_name_or_path": str(arguments.model.absolute()), "dtype": arguments.dtype},
            "adapter": {"adapter_type": "lora", "r": 16, "lora_alpha": 32},
            "data": {"train_files": [str(rows)]},
            "train": {"output_dir": str(Path(scratch) / "run"), "train_batch_size": 16, "max_steps": arguments.steps},
            "optimizer": {"learning_rate": 1e-4}}))
        command = [PROGRAM, "train", config]
        plan = subprocess.run(command + ["--dry-run"], env=environment(0), check=True, text=True, capture_output=True).stdout
        with open(log, "w", encoding="utf-8") as file:
            process = subprocess.Popen(command, env=environment(0), stderr=file)
        memory = Memory(process)
        while process.poll() is None:
            memory.look()
            time.sleep(0.02)
        if process.returncode:
            raise SystemExit(log.read_text(encoding="utf-8"))
        last = (Path(scratch) / "run/metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1]
        steps = json.loads(last)["peak_memory_bytes"] / 1e9
        estimate = re.search(r"^memory: ([0-9.]+) GB", plan, re.MULTILINE)[1]
        print(f"peak of the steps {steps:.2f} GB, of the run {memory.peak:.2f} GB, without files {memory.anonymous:.2f} GB, estimated {estimate} GB")


if __name__ == "__main__":
    main()
