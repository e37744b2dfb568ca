#!/usr/bin/env python3
"""Memory of a run on more rows than should fit into it.

    .venv/bin/python benchmarks/large_set.py FOLDER [--gigabytes 1] [--row-bytes 6000]

Writes that many GB of pairs into FOLDER, no two alike and about as long as UltraFeedback's (JSON lines in files of half a GB;
kept for the next time), and trains a model of two layers of width 64 with SmolLM2's tokenizer on them for one step: once from
the rows, once from the tokens that the first run left. Peak resident memory of the process, and without the pages of files,
which the kernel takes back when it needs them; time until it ends, and the size of what is on disk.
Micro-batches are small, so that it is the set that is measured, and not a step's logits.
"""
import argparse
import json
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

from measure import ROOT, environment
from startup import PROGRAM, write_tiny_model

FILE_BYTES = 500_000_000


def words():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    text += "\n".join(json.loads(line)["completion"] for line in (ROOT / "data/unrelated_texts.jsonl").open(encoding="utf-8"))
    return text.split()


def write_file(path, size, row_bytes, seed):
    rng, vocabulary = random.Random(seed), words()

    def text(size):
        begin = rng.randrange(len(vocabulary))
        return f"{rng.getrandbits(64):x} " + " ".join(vocabulary[(begin + i) % len(vocabulary)] for i in range(size // 7))

    with open(path.with_suffix(".part"), "w", encoding="utf-8") as file:
        while file.tell() < size:
            third = rng.randint(row_bytes // 6, row_bytes // 2)
            file.write(json.dumps({"prompt": text(third), "chosen": text(third), "rejected": text(third)}) + "\n")
    os.replace(path.with_suffix(".part"), path)


def write_rows(folder, gigabytes, row_bytes):
    """The files of the set; those that are there are taken."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"rows_{row_bytes}_{i:03}.jsonl" for i in range(max(1, round(gigabytes * 1e9 / FILE_BYTES)))]
    for seed, path in enumerate(paths):
        if not path.exists():
            write_file(path, min(FILE_BYTES, gigabytes * 1e9), row_bytes, seed)
    return paths


class Memory:
    """Of a process while it runs, in GB: what the kernel says of one that has ended counts the Python that started it."""

    def __init__(self, process):
        self.status, self.peak, self.anonymous = Path(f"/proc/{process.pid}/status"), 0, 0

    def look(self):
        values = dict(line.split(":") for line in self.status.read_text(encoding="utf-8").splitlines())
        if "VmHWM" not in values:
            return
        gigabytes = lambda name: int(values[name].split()[0]) * 1024 / 1e9
        self.peak, self.anonymous = gigabytes("VmHWM"), max(self.anonymous, gigabytes("RssAnon"))


def run(folder, paths):
    """Its memory, seconds."""
    config = {"model": {"model_name_or_path": str(folder / "tiny"), "dtype": "float32"},
              "reference": {"precompute_ref_log_probs": False},
              "data": {"train_files": [str(path) for path in paths], "token_cache_dir": str(folder / "token_cache"),
                       "max_length": 2048, "on_overlength": "truncate"},
              "train": {"output_dir": str(folder / "run"), "train_batch_size": 2, "micro_batch_tokens": 512,
                        "max_steps": 1},
              "eval": {"eval_strategy": "no", "eval_on_start": False}}
    (folder / "run.yaml").write_text(json.dumps(config))
    shutil.rmtree(folder / "run", ignore_errors=True)
    begin = time.perf_counter()
    with open(folder / "log.txt", "w", encoding="utf-8") as log:
        process = subprocess.Popen([PROGRAM, "train", folder / "run.yaml"], env=environment(0), stderr=log)
    memory = Memory(process)
    while process.poll() is None:
        memory.look()
        time.sleep(0.01)
    if process.returncode:
        raise SystemExit(f"the run ended with {process.returncode}; see {folder / 'log.txt'}")
    return memory, time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gigabytes", type=float, default=1)
    parser.add_argument("--row-bytes", type=int, default=6000)
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    paths = write_rows(folder, arguments.gigabytes, arguments.row_bytes)
    size = lambda files: sum(path.stat().st_size for path in files) / 1e9
    rows = sum(path.read_bytes().count(b"\n") for path in paths)
    write_tiny_model(folder / "tiny")
    shutil.rmtree(folder / "token_cache", ignore_errors=True)
    print(f"{size(paths):.3g} GB, {rows} rows\n\n| | peak memory, GB | without files, GB | seconds |\n| --- | --- | --- | --- |")
    for name in ("from the rows", "from the tokens"):
        memory, seconds = run(folder, paths)
        print(f"| {name} | {memory.peak:.3g} | {memory.anonymous:.3g} | {seconds:.0f} |", flush=True)
    print(f"\ntokens on disk: {size((folder / 'token_cache').glob('*.tokens')):.3g} GB")


if __name__ == "__main__":
    main()
