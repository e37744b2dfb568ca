#!/usr/bin/env python3
"""ddro-train against TRL: DPO on the same model, rows, batch, dtype and threads, in turn, in one run.

    .venv/bin/python benchmarks/against_trl.py [--data brief reader long_prompt] [--reference live cached] [--rounds 3]

Each round runs one program after the other on the same rows; ratios are taken within a round, so that what else the
machine does meets both. --lora R: both train an adapter of that rank on every linear module, TRL by PEFT, whose
references are then the base without it. Prints pairs/s, tokens/s, the share of the machine's matmul rate that is useful work, peak
memory and the time from the start to the end of the first step (precomputed reference values included), as min / median
/ max over the rounds. --out writes everything as JSON.

Needs scripts/setup --tests, scripts/unpack_smollm2 and a release build.
"""
import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import DATA_NAMES, ROOT, environment, spread, write_rows

FIELDS = ["pairs_per_s", "tokens_per_s", "peak_gb", "first_step_s", "mfu"]


def parse_arguments(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ROOT / "models/SmolLM2-135M-Instruct"))
    parser.add_argument("--data", nargs="+", default=DATA_NAMES, choices=DATA_NAMES)
    parser.add_argument("--reference", nargs="+", default=["live", "cached"], choices=["live", "cached"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="optimizer steps a run, all of them counted")
    parser.add_argument("--batch-size", type=int, default=16, help="pairs an optimizer step")
    parser.add_argument("--micro-batch-tokens", type=int, default=2048, help="ddro-train's memory knob")
    parser.add_argument("--ddro-set", action="append", default=[], metavar="SECTION.KEY=VALUE",
                        help="a further key of ddro-train's configuration, such as optimizer.moment_dtype=float8")
    parser.add_argument("--micro-batch-size", type=int, default=8, help="TRL's pairs a micro-batch")
    parser.add_argument("--max-length", type=int, default=2048)
    parser.add_argument("--lora", type=int, default=0, metavar="R", help="rank of an adapter; 0: all weights are trained")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--trl-option", action="append", default=["use_logits_to_keep=true"],
                        help="name=value of DPOConfig, value as JSON; besides what trl_settings.py finds the fastest")
    parser.add_argument("--trl-attention", default="sdpa", choices=["sdpa", "eager"])
    parser.add_argument("--trl-mkl", action="store_true",
                        help="give TRL the MKL kernels that ddro-train takes on CPUs that are not Intel's (by a "
                             "preloaded library that c++ builds; nothing in TRL or PyTorch does so)")
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/ddro-train"))
    parser.add_argument("--out", help="a JSON file for every figure of every round")
    return parser.parse_args(words)


@functools.cache
def mkl_dispatch_library():
    path = os.path.join(tempfile.mkdtemp(prefix="mkl_dispatch"), "libmkl_dispatch.so")
    source = str(ROOT / "src/ops/cpu/mkl_dispatch.cpp")
    subprocess.run(["c++", "-shared", "-fPIC", "-o", path, source], check=True)
    return path


def run_trl(arguments, data, cached):
    command = [sys.executable, str(ROOT / "benchmarks/trl_dpo.py"), "--model", arguments.model, "--data", data,
               "--batch-size", arguments.batch_size, "--micro-batch-size", arguments.micro_batch_size, "--max-length",
               arguments.max_length, "--dtype", arguments.dtype, "--attention", arguments.trl_attention, "--lora",
               arguments.lora]
    command += ["--cached"] if cached else []
    for option in arguments.trl_option:
        command += ["--option", option]
    trl_environment = environment(arguments.threads)
    if arguments.trl_mkl:
        trl_environment["LD_PRELOAD"] = mkl_dispatch_library()
    done = subprocess.run([str(part) for part in command], env=trl_environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"TRL failed:\n{done.stderr[-2000:]}")
    result = json.loads(done.stdout.strip().splitlines()[-1])
    seconds = sum(result["step_seconds"])
    return {"pairs_per_s": result["num_pairs"] / seconds, "tokens_per_s": result["num_tokens"] / seconds,
            "peak_gb": result["peak_memory_bytes"] / 1e9, "first_step_s": result["first_step_s"],
            "losses": result["losses"], "num_tokens": result["num_tokens"]}


def run_ddro(arguments, data, cached, ranks=1):
    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch) / "run.yaml"
        output = Path(scratch) / "run"
        config.write_text(json.dumps({
            "model": {"model_name_or_path": arguments.model, "dtype": arguments.dtype},
            "adapter": {"adapter_type": "lora", "r": arguments.lora, "lora_alpha": 2 * arguments.lora,
                        "target_modules": "all-linear"} if arguments.lora else {},
            "reference": {"precompute_ref_log_probs": cached},
            "data": {"train_files": [data], "max_length": arguments.max_length},
            "objective": {"loss_type": "sigmoid", "beta": 0.1},
            "train": {"output_dir": str(output), "train_batch_size": arguments.batch_size,
                      "micro_batch_tokens": arguments.micro_batch_tokens},
            "optimizer": {"learning_rate": 1e-6, "lr_scheduler_type": "constant"},
            "eval": {"eval_strategy": "no", "eval_on_start": False}}), encoding="utf-8")
        log = Path(scratch) / "log"
        with open(log, "wb") as sink:
            start = time.time()
            command = [arguments.program, "train", str(config)]
            for option in arguments.ddro_set:
                command += ["--set", option]
            command += ["--nproc", str(ranks)] if ranks > 1 else []
            process = subprocess.Popen(command, env=environment(arguments.threads), stdout=sink, stderr=sink)
            first_end = None
            metrics = output / "metrics.jsonl"
            while process.poll() is None:
                if first_end is None and metrics.exists() and metrics.stat().st_size > 0:
                    first_end = time.time()
                time.sleep(0.002 if first_end is None else 0.1)
        if process.returncode != 0:
            sys.exit(f"ddro-train failed:\n{log.read_text()[-2000:]}")
        steps = [json.loads(line) for line in metrics.read_text().splitlines()]
        with open(data, encoding="utf-8") as file:
            num_pairs = sum(1 for _ in file)
        seconds = sum(step["step_time_s"] for step in steps)
        return {"pairs_per_s": num_pairs / seconds, "tokens_per_s": steps[-1]["num_tokens"] / seconds,
                "peak_gb": steps[-1]["peak_memory_bytes"] / 1e9, "first_step_s": first_end - start,
                "mfu": sum(s["mfu"] * s["step_time_s"] for s in steps) / seconds,
                "losses": [step["loss"] for step in steps], "num_tokens": steps[-1]["num_tokens"]}


def main():
    arguments = parse_arguments()
    everything = []
    for name in arguments.data:
        with tempfile.TemporaryDirectory() as scratch:
            data = os.path.join(scratch, f"{name}.jsonl")
            write_rows(name, arguments.steps * arguments.batch_size, data)
            for reference in arguments.reference:
                rounds = []
                for _ in range(arguments.rounds):
                    cached = reference == "cached"
                    rounds.append({"ddro": run_ddro(arguments, data, cached), "trl": run_trl(arguments, data, cached)})
                    print(".", end="", file=sys.stderr, flush=True)
                print(file=sys.stderr)
                everything.append({"data": name, "reference": reference, "rounds": rounds})
                show(name, reference, rounds)
    if arguments.out:
        Path(arguments.out).write_text(json.dumps({"arguments": vars(arguments), "results": everything}, indent=1))


def show(name, reference, rounds):
    print(f"\n{name}, reference {reference} (min / median / max of {len(rounds)} rounds)")
    print(f"  {'':14}{'ddro-train':>24}{'TRL':>24}{'ratio':>24}")
    for field in FIELDS:
        sides = {side: [r[side][field] for r in rounds if field in r[side]] for side in ("ddro", "trl")}
        if not sides["ddro"] or not any(sides["ddro"] + sides["trl"]):
            continue
        line = f"  {field:14}{spread(sides['ddro']):>24}"
        if sides["trl"] and min(sides["trl"]) > 0:
            ratios = [ours / theirs for ours, theirs in zip(sides["ddro"], sides["trl"])]
            line += f"{spread(sides['trl']):>24}{spread(ratios):>24}"
        print(line)
    tokens = rounds[0]["ddro"]["num_tokens"], rounds[0]["trl"]["num_tokens"]
    print(f"  tokens of the epoch: {tokens[0]} and {tokens[1]}; first losses: "
          f"{rounds[0]['ddro']['losses'][0]:.6f} and {rounds[0]['trl']['losses'][0]:.6f}", flush=True)


if __name__ == "__main__":
    main()
