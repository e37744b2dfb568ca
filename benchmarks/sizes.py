#!/usr/bin/env python3
"""How time and memory grow with sequence length, vocabulary and batch: a small model (2 layers of width 32), where
nothing but the head and the attention counts.

    .venv/bin/python benchmarks/sizes.py [--vocab 32768 131072 262144] [--length 1024 4096 16384 32768]

Each cell: memory that the step adds to weights, gradients and moments, and seconds a step of one pair of sequences of
that length. `logits` is what all logits of the pair at once would take, float32.
"""
import argparse
import os

import measure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocab", type=int, nargs="+", default=[32768, 65536, 131072, 262144])
    parser.add_argument("--length", type=int, nargs="+", default=[1024, 4096, 16384, 32768])
    parser.add_argument("--micro-batch-tokens", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    print(f"{'length':>8}{'vocabulary':>12}{'added memory, MB':>18}{'logits, MB':>12}{'s a step':>10}")
    for vocab in arguments.vocab:
        for length in arguments.length:
            result = measure.step_bench(arguments.threads, vocab=vocab, length=length, steps=1,
                                        micro_batch_tokens=arguments.micro_batch_tokens)
            added = (result["peak_memory_bytes"] - result["memory_before_step_bytes"]) / 1e6
            print(f"{length:>8}{vocab:>12}{added:>18.0f}{2 * length * vocab * 4 / 1e6:>12.0f}"
                  f"{result['seconds'][0]:>10.2f}", flush=True)


if __name__ == "__main__":
    main()
