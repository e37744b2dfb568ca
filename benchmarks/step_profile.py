#!/usr/bin/env python3
"""Where a training step's time goes: its phases and operations by LibTorch's profiler, and its share of the matmul rate.

    .venv/bin/python benchmarks/step_profile.py [--data brief reader long_prompt] [--reference live cached]
        [--dtype bfloat16]

SmolLM2-135M, 16 pairs a step, optimizer included. An operation's time is its own, without those it calls; a phase's or a
gradient function's is what happens in it outside of operations, this program's own kernels among it.

Needs scripts/setup --tests, scripts/unpack_smollm2 and a release build.
"""
import argparse
import os
import statistics
import tempfile
from pathlib import Path

from measure import DATA_NAMES, ROOT, step_bench, write_rows


def print_table(times, whole, count):
    for time in times[:count]:
        print(f"  {time['seconds'] / whole:6.1%}  {time['seconds']:8.3f} s  {time['calls']:6}  {time['name']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ROOT / "models/SmolLM2-135M-Instruct"))
    parser.add_argument("--data", nargs="+", default=DATA_NAMES, choices=DATA_NAMES)
    parser.add_argument("--reference", nargs="+", default=["live", "cached"], choices=["live", "cached"])
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3, help="timed steps; one more is profiled")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--operations", type=int, default=24, help="lines of the table of operations")
    arguments = parser.parse_args()
    for name in arguments.data:
        for reference in arguments.reference:
            with tempfile.TemporaryDirectory() as scratch:
                rows = Path(scratch) / "rows.jsonl"
                write_rows(name, arguments.pairs, rows)
                result = step_bench(arguments.threads, model=arguments.model, data=rows, pairs=arguments.pairs,
                                    steps=arguments.steps, cached=str(reference == "cached").lower(), update="true",
                                    profile="true", dtype=arguments.dtype, micro_batch_tokens=4096 if name == "long_prompt" else 2048)
            seconds = statistics.median(result["seconds"])
            share = result["flops"] / seconds / result["matmul_rate"]
            print(f"{name}, {reference}: {seconds:.3f} s a step, {result['matmul_rate'] / 1e9:.0f} GFLOP/s of a matmul, "
                  f"{share:.3f} of it useful")
            whole = sum(time["seconds"] for time in result["phases"])
            print_table(result["phases"], whole, len(result["phases"]))
            print_table(result["operations"], whole, arguments.operations)


if __name__ == "__main__":
    main()
