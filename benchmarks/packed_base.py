#!/usr/bin/env python3
"""Memory of a whole run that trains a LoRA on a GGUF file as it is.

    .venv/bin/python benchmarks/packed_base.py MODEL.gguf

A LoRA of rank 16, three steps of 16 rows of data/brief_labels_train.jsonl, from reading to the check of final/. Peak resident
memory, without the pages of files, and what --dry-run estimates. Needs a release build, and a model with a chat template.
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
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows, config, log = (Path(scratch) / name for name in ("rows.jsonl", "run.yaml", "log.txt"))
        rows.write_text("".join((ROOT / "data/brief_labels_train.jsonl").read_text().splitlines(keepends=True)[:48]))
        config.write_text(json.dumps({
            "model": {"model_name_or_path": str(arguments.model.absolute())},
            "adapter": {"adapter_type": "lora", "r": 16, "lora_alpha": 32},
            "data": {"train_files": [str(rows)]},
            "train": {"output_dir": str(Path(scratch) / "run"), "train_batch_size": 16, "max_steps": 3},
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
        estimate = re.search(r"^memory: ([0-9.]+) GB", plan, re.MULTILINE)[1]
        print(f"peak {memory.peak:.2f} GB, without files {memory.anonymous:.2f} GB, estimated {estimate} GB")


if __name__ == "__main__":
    main()
