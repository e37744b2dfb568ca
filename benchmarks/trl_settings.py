#!/usr/bin/env python3
"""TRL's own speed with its various settings, so that ddro-train is compared with the best of them.

    .venv/bin/python benchmarks/trl_settings.py [--steps N] [--data brief] [--only WORD...]

DPO on SmolLM2-135M in float32, 16 pairs a step, live reference: pairs/s and peak memory of each setting, beside the one
that against_trl.py uses; a setting that does not run is listed with what it said.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

from measure import DATA_NAMES, ROOT, environment, write_rows

# name -> (pairs a micro-batch, DPOConfig options, attention)
SETTINGS = {
    "defaults, micro-batches of 8, sdpa": (8, {}, "sdpa"),
    "micro-batches of 2": (2, {}, "sdpa"),
    "micro-batches of 4": (4, {}, "sdpa"),
    "micro-batches of 16": (16, {}, "sdpa"),
    "use_logits_to_keep, as in against_trl.py": (8, {"use_logits_to_keep": True}, "sdpa"),
    "use_logits_to_keep, micro-batches of 2": (2, {"use_logits_to_keep": True}, "sdpa"),
    "use_logits_to_keep, micro-batches of 4": (4, {"use_logits_to_keep": True}, "sdpa"),
    "use_logits_to_keep, micro-batches of 16": (16, {"use_logits_to_keep": True}, "sdpa"),
    "padding_free": (8, {"padding_free": True}, "sdpa"),
    "torch_compile": (8, {"torch_compile": True}, "sdpa"),
    "eager attention": (8, {}, "eager"),
    "use_liger_kernel": (8, {"use_liger_kernel": True}, "sdpa"),
    "use_liger_loss": (8, {"use_liger_loss": True}, "sdpa"),
}


def run(data, micro_batch, options, attention):
    command = [sys.executable, str(ROOT / "benchmarks/trl_dpo.py"), "--model", str(ROOT / "models/SmolLM2-135M-Instruct"),
               "--data", data, "--batch-size", "16", "--micro-batch-size", str(micro_batch), "--max-length", "2048",
               "--dtype", "float32", "--attention", attention]
    for name, value in options.items():
        command += ["--option", f"{name}={json.dumps(value)}"]
    done = subprocess.run(command, env=environment(os.cpu_count()), text=True, capture_output=True, check=False)
    if done.returncode != 0:
        return None, done.stderr.strip().splitlines()[-1]
    return json.loads(done.stdout.strip().splitlines()[-1]), ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="brief", choices=DATA_NAMES)
    parser.add_argument("--steps", type=int, default=3, help="the first one is not counted")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="the settings in whose names one of these occurs")
    arguments = parser.parse_args()
    base = None
    print("| setting | pairs/s | ratio | peak memory, GB | first loss |\n| --- | --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        data = os.path.join(scratch, "rows.jsonl")
        write_rows(arguments.data, 16 * arguments.steps, data)
        for name, setting in SETTINGS.items():
            if arguments.only and not any(word in name for word in arguments.only):
                continue
            result, problem = run(data, *setting)
            if result is None:
                print(f"| {name} | does not run: {problem} | | | |", flush=True)
                continue
            rate = 16 * (arguments.steps - 1) / sum(result["step_seconds"][1:])
            base = base or rate
            print(f"| {name} | {rate:.2f} | {rate / base:.2f} | {result['peak_memory_bytes'] / 1e9:.2f} | "
                  f"{result['losses'][1]:.4f} |", flush=True)


if __name__ == "__main__":
    main()
