#!/usr/bin/env python3
"""Memory of a run on more rows than should fit into it.

    .venv/bin/python benchmarks/large_set.py FOLDER [--gigabytes 1] [--row-bytes 6000] [--limit GB] [--keep]

Writes that many GB of pairs into FOLDER, no two alike and about as long as UltraFeedback's (JSON lines in files of half a GB),
and trains a model of two layers of width 64 with SmolLM2's tokenizer on them for ten steps: once from the rows, once from the
tokens that the first run left. Peak resident memory of the process, and without the pages of files, which the kernel takes
back when it needs them; time until it ends, and the size of what is on disk.
Micro-batches are small, so that it is the set that is measured, and not a step's logits.
With --limit the runs are in a control group whose memory, that of the files they read and write included, has that limit
(root only). Rows and tokens are removed at the end; --keep leaves the rows, and what is there is taken.
"""
import argparse
import contextlib
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


def some_text():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    return text + "\n".join(json.loads(line)["completion"] for line in (ROOT / "data/unrelated_texts.jsonl").open(encoding="utf-8"))


def write_file(path, size, row_bytes, seed):
    rng, source = random.Random(seed), some_text()

    def text(size):
        begin = rng.randrange(len(source) - size)
        return f"{rng.getrandbits(64):x} " + source[begin:begin + size]

    with open(path.with_suffix(".part"), "w", encoding="utf-8") as file:
        while file.tell() < size:
            for _ in range(100):
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


def count_lines(path):
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


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


@contextlib.contextmanager
def control_group(gigabytes):
    """The file that takes processes into a group with that limit of memory; nothing without a limit."""
    if not gigabytes:
        yield None
        return
    root = Path("/sys/fs/cgroup")
    parent, limit = (root / "memory", "memory.limit_in_bytes") if (root / "memory").is_dir() else (root, "memory.max")
    group = parent / f"large_set_{os.getpid()}"
    group.mkdir()
    try:
        (group / limit).write_text(str(int(gigabytes * 1e9)))
        yield group / "cgroup.procs"
    finally:
        group.rmdir()


def run(folder, paths, group):
    """Its memory, seconds."""
    config = {"model": {"model_name_or_path": str(folder / "tiny"), "dtype": "float32"},
              "reference": {"precompute_ref_log_probs": False},
              "data": {"train_files": [str(path) for path in paths], "token_cache_dir": str(folder / "token_cache"),
                       "max_length": 2048, "on_overlength": "truncate"},
              "train": {"output_dir": str(folder / "run"), "train_batch_size": 2, "micro_batch_tokens": 512,
                        "max_steps": 10},
              "eval": {"eval_strategy": "no", "eval_on_start": False}}
    (folder / "run.yaml").write_text(json.dumps(config))
    shutil.rmtree(folder / "run", ignore_errors=True)
    begin = time.perf_counter()
    with open(folder / "log.txt", "w", encoding="utf-8") as log:
        enter = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', group] if group else []
        process = subprocess.Popen([*enter, PROGRAM, "train", folder / "run.yaml"], env=environment(0), stderr=log)
    memory = Memory(process)
    while process.poll() is None:
        memory.look()
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"the run ended with {process.returncode}; see {folder / 'log.txt'}")
    return memory, time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gigabytes", type=float, default=1)
    parser.add_argument("--row-bytes", type=int, default=6000)
    parser.add_argument("--limit", type=float, help="GB")
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    paths = write_rows(folder, arguments.gigabytes, arguments.row_bytes)
    size = lambda files: sum(path.stat().st_size for path in files) / 1e9
    rows = sum(count_lines(path) for path in paths)
    write_tiny_model(folder / "tiny")
    shutil.rmtree(folder / "token_cache", ignore_errors=True)
    print(f"{size(paths):.3g} GB, {rows} rows\n\n| | peak memory, GB | without files, GB | seconds |\n| --- | --- | --- | --- |")
    with control_group(arguments.limit) as group:
        for name in ("from the rows", "from the tokens"):
            memory, seconds = run(folder, paths, group)
            print(f"| {name} | {memory.peak:.3g} | {memory.anonymous:.3g} | {seconds:.0f} |", flush=True)
    print(f"\ntokens on disk: {size((folder / 'token_cache').glob('*.tokens')):.3g} GB")
    shutil.rmtree(folder / "token_cache")
    for path in [] if arguments.keep else paths:
        path.unlink()


if __name__ == "__main__":
    main()
