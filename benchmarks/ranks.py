#!/usr/bin/env python3
"""A run in ranks of one thread against one process with as many threads: the same rows, batch and cores, in turn.

    .venv/bin/python benchmarks/ranks.py [--ranks 2] [--data brief reader long_prompt] [--rounds 3]

DPO as in against_trl.py, whose options (--steps, --batch-size, --dtype, --ddro-set, ...) it has too, with a live
reference; ranks on this machine, over Gloo. Prints pairs/s of both (min / median / max over the rounds), their ratio
within a round, and the peak memory of one process and of rank 0. Needs what against_trl.py needs, and a machine that is
otherwise quiet.
"""
import argparse
import os
import sys
import tempfile

import against_trl
from measure import spread, write_rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2)
    own, words = parser.parse_known_args()
    arguments = against_trl.parse_arguments(words)
    print(f"| data | one process, {own.ranks} threads: pairs/s | {own.ranks} ranks: pairs/s | ratio | GB | GB a rank |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in arguments.data:
        with tempfile.TemporaryDirectory() as scratch:
            data = os.path.join(scratch, f"{name}.jsonl")
            write_rows(name, arguments.steps * arguments.batch_size, data)
            one, several = [], []
            for _ in range(arguments.rounds):
                arguments.threads = own.ranks
                one.append(against_trl.run_ddro(arguments, data, cached=False))
                arguments.threads = 1
                several.append(against_trl.run_ddro(arguments, data, cached=False, ranks=own.ranks))
                print(".", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        ratios = [b["pairs_per_s"] / a["pairs_per_s"] for a, b in zip(one, several)]
        columns = [spread([run[field] for run in runs])
                   for field in ("pairs_per_s", "peak_gb") for runs in (one, several)]
        print(f"| {name} | {columns[0]} | {columns[1]} | {spread(ratios)} | {columns[2]} | {columns[3]} |", flush=True)


if __name__ == "__main__":
    main()
