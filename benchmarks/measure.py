"""Shared by the drivers in this folder: the benchmark's rows, the programs' environment, figures as text."""
import json
import os
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STEP_BENCH = ROOT / "build/release/benchmarks/step_bench"
DATA_NAMES = ["brief", "reader", "long_prompt"]


def read_rows(name):
    with open(ROOT / "data" / f"{name}_pairs_train.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def benchmark_rows(name, count):
    """`count` pairs. Every completion counts as finished: TRL ends each with an end token."""
    rows = [{key: row[key] for key in ("prompt", "chosen", "rejected")}
            for row in read_rows("reader" if name == "reader" else "brief")]
    if name == "long_prompt":
        # Earlier exchanges in front of the question, other ones for each row, until the prompt is about eight times as
        # long as a completion.
        words = lambda messages: sum(len(message["content"].split()) for message in messages)
        for i, row in enumerate(rows[:count]):
            target, next_other = 4 * (words(row["chosen"]) + words(row["rejected"])), count + 29 * i
            while words(row["prompt"]) < target:
                other = rows[count + next_other % (len(rows) - count)]
                row["prompt"] = other["prompt"][-1:] + other["chosen"] + row["prompt"]
                next_other += 1
    return rows[:count]


def write_rows(name, count, path):
    with open(path, "w", encoding="utf-8") as file:
        for row in benchmark_rows(name, count):
            file.write(json.dumps(row) + "\n")


def environment(threads):
    """Of a program that is to take so many threads; 0: as many as it takes by itself."""
    number = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)} if threads else {}
    return os.environ | number | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONWARNINGS": "ignore",
                                  "TOKENIZERS_PARALLELISM": "false"}


def step_bench(threads, **options):
    command = [str(STEP_BENCH)]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    done = subprocess.run(command, env=environment(threads), check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def spread(values):
    return f"{min(values):.3g} / {statistics.median(values):.3g} / {max(values):.3g}"
