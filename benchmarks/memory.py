#!/usr/bin/env python3
"""The memory that `ddro-train train --dry-run` announces against the peak that the run then has.

    .venv/bin/python benchmarks/memory.py [--ranks N] [--data brief reader long_prompt] [--dtype bfloat16]

SmolLM2-135M, 16 pairs a step, three steps; data, micro-batch, recomputation, reference and the form of the moments
vary, with several ranks also what they share out. The peak is the largest resident size, of rank 0, up to the last step
(`peak_memory_bytes` in metrics.jsonl).
"""
import argparse
import itertools
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

import measure

CASES = [
    ("brief", 2048, False, False, "float32"), ("brief", 512, False, False, "float32"),
    ("brief", 2048, True, False, "float32"), ("reader", 4096, False, False, "float32"),
    ("long_prompt", 4096, False, False, "float32"), ("brief", 2048, False, True, "float32"),
    ("reader", 1024, False, True, "float32"), ("brief", 2048, False, True, "bfloat16"),
    ("brief", 2048, False, True, "float8"),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(measure.ROOT / "models/SmolLM2-135M-Instruct"))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--data", nargs="+", default=["brief", "reader", "long_prompt"])
    arguments = parser.parse_args()
    program = str(measure.ROOT / "build/release/bin/ddro-train")
    print(f"{'data':>12}{'micro-batch':>13}{'recompute':>11}{'reference':>11}{'moments':>10}{'shard':>11}"
          f"{'estimate GB':>13}{'peak GB':>9}{'ratio':>7}")
    shards = ["none", "optimizer", "full"] if arguments.ranks > 1 else ["optimizer"]
    cases = [case for case in CASES if case[0] in arguments.data]
    for (data, tokens, recompute, cached, moments), shard in itertools.product(cases, shards):
        with tempfile.TemporaryDirectory() as scratch:
            rows, output = Path(scratch) / "rows.jsonl", Path(scratch) / "run"
            measure.write_rows(data, 48, rows)
            config = Path(scratch) / "run.yaml"
            config.write_text(json.dumps({
                "model": {"model_name_or_path": arguments.model, "dtype": arguments.dtype,
                          "gradient_checkpointing": recompute},
                "reference": {"precompute_ref_log_probs": cached},
                "data": {"train_files": [str(rows)], "max_length": 4096},
                "train": {"output_dir": str(output), "train_batch_size": 16, "micro_batch_tokens": tokens},
                "optimizer": {"moment_dtype": moments},
                "distributed": {"shard": shard},
                "eval": {"eval_strategy": "no", "eval_on_start": False}}), encoding="utf-8")
            command = [program, "train", str(config)]
            if arguments.ranks > 1:
                command += ["--nproc", str(arguments.ranks)]
            environment = measure.environment(max(1, arguments.threads // arguments.ranks))
            plan = subprocess.run(command + ["--dry-run"], env=environment, check=True, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
            estimate = float(re.search(r"memory: ([0-9.]+) GB", plan).group(1))
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            last = json.loads((output / "metrics.jsonl").read_text().splitlines()[-1])
        peak = last["peak_memory_bytes"] / 1e9
        print(f"{data:>12}{tokens:>13}{'yes' if recompute else 'no':>11}{'cached' if cached else 'live':>11}"
              f"{moments:>10}{shard if arguments.ranks > 1 else '-':>11}{estimate:>13.2f}{peak:>9.2f}"
              f"{estimate / peak:>7.2f}", flush=True)


if __name__ == "__main__":
    main()
