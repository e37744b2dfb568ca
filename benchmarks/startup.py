#!/usr/bin/env python3
"""How long `ddro-train train` takes until its first step is done, how fast it reads rows, and how long a step waits for its
data.

    .venv/bin/python benchmarks/startup.py [--runs N]

First step: from the start of the process until metrics.jsonl holds step 1, on a model of two layers of width 64 with
SmolLM2's tokenizer, and on SmolLM2-135M; a step of 16 pairs of data/brief_pairs_train.jsonl, live reference, files warm.
Reading: `ddro-train inspect data` on one core: JSON, chat template, tokens. Chat rows are those of data/, long texts are
plain strings of about 3 kB, each as JSON lines and as Parquet; MB of the JSON lines by CPU seconds, with the program's start
and without (that of one row). Waiting: share of the step time (data_wait_s / step_time_s) on both models.
"""
import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from measure import ROOT, environment, read_rows, spread

PROGRAM = ROOT / "build/release/bin/ddro-train"
SMOLLM2 = ROOT / "models/SmolLM2-135M-Instruct"


def write_tiny_model(folder):
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
    tokenizer = AutoTokenizer.from_pretrained(SMOLLM2)
    LlamaForCausalLM(LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=2048, tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id)).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"):
        if (SMOLLM2 / name).is_file():
            shutil.copy(SMOLLM2 / name, folder)


class Run:
    """A training run that is stopped as soon as `steps` are done."""

    def __init__(self, model, folder, steps):
        self.out, self.steps = folder / "run", steps
        shutil.rmtree(self.out, ignore_errors=True)
        config = {"model": {"model_name_or_path": str(model), "dtype": "float32"},
                  "reference": {"precompute_ref_log_probs": False},
                  "data": {"train_files": [str(ROOT / "data/brief_pairs_train.jsonl")]},
                  "objective": {"loss_type": "ddro", "alpha": 0.5},
                  "train": {"output_dir": str(self.out), "train_batch_size": 16, "micro_batch_tokens": 2048,
                            "num_train_epochs": 100},
                  "eval": {"eval_strategy": "no", "eval_on_start": False},
                  "checkpoint": {"save_steps": 100000}}
        (folder / "run.yaml").write_text(json.dumps(config))
        self.command = [PROGRAM, "train", folder / "run.yaml"]

    def lines(self):
        path = self.out / "metrics.jsonl"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def measure(self):
        """Seconds until step 1, share of the later steps that waited for data."""
        begin = time.perf_counter()
        process = subprocess.Popen(self.command, env=environment(os.cpu_count()), stderr=subprocess.DEVNULL)
        first = None
        while len(lines := self.lines()) < self.steps:
            if process.poll() is not None:
                raise SystemExit(f"{self.command} ended with {process.returncode}")
            if lines and first is None:
                first = time.perf_counter() - begin
            time.sleep(0.005)
        process.kill()
        process.wait()
        later = lines[1:]
        return first, sum(line["data_wait_s"] for line in later) / sum(line["step_time_s"] for line in later)


def write_files(folder):
    """About 20 MB of JSON lines each: name, file."""
    chat = [json.dumps(row) + "\n" for name in ("brief", "reader") for row in read_rows(name)]
    prose = "\n".join(json.loads(line)["completion"] for line in (ROOT / "data/unrelated_texts.jsonl").open(encoding="utf-8"))
    prose += (ROOT / "LICENSE").read_text(encoding="utf-8")
    long = [json.dumps({"prompt": prose[i:i + 100], "completion": prose[i + 100:i + 3000], "label": True}) + "\n"
            for i in range(0, len(prose) - 3000, 37)]
    for name, lines in (("chat rows", chat), ("long texts", long)):
        path = folder / f"{name.replace(' ', '_')}.jsonl"
        block = "".join(lines)
        path.write_text(block * max(1, 20_000_000 // len(block)), encoding="utf-8")
        yield name, path
        import pyarrow.json
        import pyarrow.parquet
        pyarrow.parquet.write_table(pyarrow.json.read_json(path), path.with_suffix(".parquet"))
        yield f"{name}, Parquet", path.with_suffix(".parquet")


def read_seconds(path):
    core = str(min(os.sched_getaffinity(0)))
    cpu_seconds = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    begin = cpu_seconds()
    subprocess.run(["taskset", "-c", core, PROGRAM, "inspect", "data", path, "--model", SMOLLM2, "--rows", "0",
                    "--max-length", "100000"], env=environment(1), check=True, capture_output=True)
    return cpu_seconds() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        write_tiny_model(scratch / "tiny")
        print("| model | until step 1, s | waiting for data, share of the step |\n| --- | --- | --- |")
        for name, model, steps in (("two layers of width 64", scratch / "tiny", 20), ("SmolLM2-135M", SMOLLM2, 4)):
            run = lambda: Run(model, scratch, steps).measure()
            run()
            seconds, waits = zip(*(run() for _ in range(arguments.runs)))
            print(f"| {name} | {spread(seconds)} | {statistics.median(waits):.2%} |", flush=True)
        print("\n| rows | MB/s on one core | without the program's start |\n| --- | --- | --- |")
        one_row = scratch / "one_row.jsonl"
        for name, path in write_files(scratch):
            lines = path.with_suffix(".jsonl")
            with lines.open("rb") as rows:
                one_row.write_bytes(rows.readline())
            start = statistics.median(read_seconds(one_row) for _ in range(arguments.runs))
            megabytes = lines.stat().st_size / 1e6
            seconds = [read_seconds(path) for _ in range(arguments.runs)]
            print(f"| {name} | {spread([megabytes / s for s in seconds])} "
                  f"| {spread([megabytes / (s - start) for s in seconds])} |", flush=True)


if __name__ == "__main__":
    main()
