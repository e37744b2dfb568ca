#!/usr/bin/env python3
"""What each part of the fused step is worth: the step without it, in turn with the whole one.

    .venv/bin/python benchmarks/ablations.py [--data brief reader long_prompt] [--rounds 3]

Forward, loss and backward of 16 pairs with a live reference, no optimizer. Ratios are taken within a round: how many
times as long a step takes, and how much more memory it adds to weights, gradients and moments, without

  composed_head   the fused head (instead: all logits of the micro-batch, log_softmax, autograd)
  unshared        common beginnings computed once (instead: each sequence by itself, packed)
  padded          packing as well (instead: sequences filled up to the longest of the micro-batch)
"""
import argparse
import os
import tempfile

import measure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(measure.ROOT / "models/SmolLM2-135M-Instruct"))
    parser.add_argument("--data", nargs="+", default=measure.DATA_NAMES, choices=measure.DATA_NAMES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--micro-batch-tokens", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    variants = ["full", "composed_head", "unshared", "padded"]
    for name in arguments.data:
        with tempfile.TemporaryDirectory() as scratch:
            path = os.path.join(scratch, "pairs.jsonl")
            measure.write_rows(name, 16, path)
            rounds = [{variant: measure.step_bench(arguments.threads, model=arguments.model, data=path, variant=variant,
                                                   micro_batch_tokens=arguments.micro_batch_tokens)
                       for variant in variants} for _ in range(arguments.rounds)]
        print(f"\n{name}: min / median / max of {arguments.rounds} rounds")
        print(f"  {'':14}{'tokens':>8}{'s a step':>24}{'time, ratio':>22}{'added memory, GB':>20}{'ratio':>22}")
        best = lambda result: min(result["seconds"][1:])
        added = lambda result: (result["peak_memory_bytes"] - result["memory_before_step_bytes"]) / 1e9
        for variant in variants:
            line = f"  {variant:14}{rounds[0][variant]['packed_tokens']:>8}"
            line += f"{measure.spread([best(r[variant]) for r in rounds]):>24}"
            line += f"{measure.spread([best(r[variant]) / best(r['full']) for r in rounds]):>22}"
            line += f"{min(added(r[variant]) for r in rounds):>20.3f}"
            line += f"{measure.spread([added(r[variant]) / added(r['full']) for r in rounds]):>22}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
