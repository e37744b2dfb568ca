#!/usr/bin/env python3
"""What a step of ddro-train, and of TRL beside it, takes while other processes want the same cores.

    .venv/bin/python benchmarks/contention.py [--busy 0 1 2] [--rounds 3] [--steps 4] [--no-trl]

DPO on the same model and rows as against_trl.py, brief pairs with a live reference, with as many threads as each program
takes by itself, first alone and then beside processes that do nothing but use the CPU. Prints the CPU's name, and the
seconds of a step (min / median / max over the rounds) with their ratio to the quiet one. Needs what against_trl.py
needs, and a machine that is otherwise quiet.
"""
import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile

import against_trl
from measure import spread, write_rows

PROGRAMS = {"ddro-train": against_trl.run_ddro, "TRL": against_trl.run_trl}


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")


@contextlib.contextmanager
def busy_processes(count):
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", nargs="+", type=int, default=[0, 1, 2], help="numbers of busy processes; 0 first")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=16, help="pairs a step")
    parser.add_argument("--no-trl", action="store_true")
    arguments = parser.parse_args()
    programs = ["ddro-train"] if arguments.no_trl else list(PROGRAMS)
    run_arguments = against_trl.parse_arguments(["--batch-size", str(arguments.batch_size), "--threads", "0"])
    seconds = {(name, busy): [] for name in programs for busy in arguments.busy}
    with tempfile.TemporaryDirectory() as scratch:
        data = os.path.join(scratch, "brief.jsonl")
        write_rows("brief", arguments.steps * arguments.batch_size, data)
        for _ in range(arguments.rounds):
            for name in programs:
                for busy in arguments.busy:
                    with busy_processes(busy):
                        result = PROGRAMS[name](run_arguments, data, cached=False)
                    seconds[name, busy].append(arguments.batch_size / result["pairs_per_s"])
                    print(f"{name} beside {busy}: {seconds[name, busy][-1]:.2f} s a step", file=sys.stderr, flush=True)
    print(f"{cpu_name()}, {len(os.sched_getaffinity(0))} CPUs; seconds a step, min / median / max of {arguments.rounds}\n")
    print("| program | busy processes | s a step | of the quiet step |\n| --- | --- | --- | --- |")
    for (name, busy), values in seconds.items():
        ratio = statistics.median(values) / statistics.median(seconds[name, arguments.busy[0]])
        print(f"| {name} | {busy} | {spread(values)} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
