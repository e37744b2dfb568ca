"""The kit's parts. Started by run.py, each in a process of its own:

    python3 parts.py PART SCRATCH_DIR RESULT_FILE [--rehearse]

A part prints as it likes and leaves one JSON object in RESULT_FILE, which grows as it is found, so that a part that is
stopped leaves what it has; {"skipped": "why"} where there is nothing to do. Exit code 1 with "failed" in it.
"""

import argparse
import hashlib
import importlib.util
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

KIT = Path(__file__).resolve().parent
PROGRAM = KIT / "program/bin/ddro-train"


class Skipped(Exception):
    pass


class Task:
    """What a part is given: where to write, and whether small models will do."""

    def __init__(self, scratch, result_file, rehearse):
        self.scratch = scratch
        self.rehearse = rehearse
        self.result = {}
        self._result_file = result_file

    def record(self, **found):
        self.result |= found
        self._result_file.write_text(json.dumps(self.result), encoding="utf-8")

    def shape(self, name):
        return "tiny" if self.rehearse else name


def has_gpu():
    return any(Path("/dev").glob("nvidia[0-9]*"))


def need_gpu():
    if not has_gpu():
        raise Skipped("no CUDA device")


def need_tool(name):
    places = [os.environ.get("PATH", ""), "/usr/local/cuda/bin"]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        raise Skipped(f"{name} is not installed")
    return found


def need_module(name):
    if importlib.util.find_spec(name) is None:
        raise Skipped(f"{name} is not installed")


def run(*command, check=True, **options):
    command = [str(part) for part in command]
    print("+", *command, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, **options)
    print(done.stdout, flush=True)
    if check and done.returncode != 0:
        sys.exit(f"{command[0]} ended with {done.returncode}")
    return done


# --- the machine -------------------------------------------------------------------------------------------------------


def machine(task):
    """Versions, devices, rates, each kernel beside its twin, the gradients of a step beside float64."""
    if has_gpu():
        run("nvidia-smi", check=False)
    done = run(PROGRAM, "doctor", "--json", "--dir", task.scratch, check=False)
    report = json.loads(done.stdout)
    kept = ("matmul_rate", "copy_rate", "device", "libtorch", "driver", "cpu")
    task.record(not_ok=[finding for finding in report["findings"] if finding["status"] in ("failed", "warning")],
                facts={finding["name"]: finding["text"] for finding in report["findings"]
                       if finding["name"].startswith(kept)})
    if not report["sound"]:
        task.record(failed="a check of this machine has failed")


# --- speed -------------------------------------------------------------------------------------------------------------


def speed(task, shape, *sequence_tokens):
    for tokens in sequence_tokens:
        report = json.loads(run(PROGRAM, "doctor", "--speed", shape, "--sequence-tokens", tokens, "--json").stdout)
        report["kernels"] = report["kernels"][:15]
        task.record(**{f"{shape}, sequences of {tokens}": report})


def speed_1b(task):
    if task.rehearse:
        speed(task, "135m", 256)
    else:
        need_gpu()
        speed(task, "1.2b", 512, 2048, 4096)


def speed_8b(task):
    need_gpu()
    speed(task, "8b", 512)


# --- tests -------------------------------------------------------------------------------------------------------------


def test_environment():
    return os.environ | {"DDRO_SOURCE_DIR": str(KIT), "DDRO_FIXTURES": str(KIT / "fixtures"), "DDRO_TRAIN": str(PROGRAM)}


def count_tests(report):
    """Names of a GoogleTest report's tests by how they ended."""
    counts = {"passed": [], "failed": [], "skipped": []}
    for suite in report["testsuites"]:
        for test in suite["testsuite"]:
            skipped = test["result"] == "SKIPPED"
            kind = "failed" if "failures" in test else "skipped" if skipped else "passed"
            counts[kind].append(f"{suite['name']}.{test['name']}")
    return counts


def gpu_tests(task):
    """Every test that needs a device: by name, in each test program."""
    passed, skipped, failed = 0, 0, []
    for program in sorted((KIT / "tests").iterdir()):
        report = task.scratch / f"{program.name}.json"
        run(program, "--gtest_filter=*Cuda*:*Gpu*", "--gtest_brief=1", f"--gtest_output=json:{report}", check=False,
            env=test_environment())
        if not report.exists():
            failed.append(f"{program.name} left no report")
            continue
        counts = count_tests(json.loads(report.read_text()))
        passed, skipped = passed + len(counts["passed"]), skipped + len(counts["skipped"])
        failed += counts["failed"]
        task.record(passed=passed, not_run=skipped)
    if failed:
        task.record(failed=failed)
    elif skipped and not passed:
        raise Skipped(f"no CUDA device: {skipped} tests")


# --- whole runs --------------------------------------------------------------------------------------------------------


def random_model(task, shape):
    folder = task.scratch / shape
    run(sys.executable, KIT / "benchmarks/random_model.py", task.shape(shape), folder)
    return folder


def train_command(task, model, name, deterministic, steps):
    settings = {"model.model_name_or_path": model, "data.train_files": f"[{KIT}/data/brief_pairs_train.jsonl]",
                "data.max_length": 1024, "objective.loss_type": "ddro", "train.output_dir": task.scratch / name,
                "train.train_batch_size": 4 if task.rehearse else 32, "train.max_steps": steps,
                "train.full_determinism": str(deterministic).lower(), "eval.eval_strategy": '"no"',
                "checkpoint.save_steps": 2, "checkpoint.save_total_limit": 1, "logging.report_to": "[jsonl]"}
    (task.scratch / "empty.yaml").write_text("{}\n")
    command = [PROGRAM, "train", task.scratch / "empty.yaml"]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    return [str(part) for part in command]


def steps_logged(folder):
    try:
        lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return 0
    return max((json.loads(line)["step"] for line in lines if line.endswith("\n")), default=0)


def kill_after(command, folder, step):
    """Kills a run without warning once it has logged `step`."""
    print("+", *command, f"# killed after step {step}", flush=True)
    process = subprocess.Popen(command)
    while process.poll() is None and steps_logged(folder) < step:
        time.sleep(0.02)
    if process.poll() is not None:
        sys.exit(f"the run to be killed ended by itself with {process.returncode}")
    process.send_signal(signal.SIGKILL)
    process.wait()


def fingerprint(folder):
    weights = sorted((folder / "final").glob("*.safetensors"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in weights)).hexdigest()


def compare_bits(task, model, deterministic):
    """Whether a run, the same again, and one that is killed and goes on leave the same weights."""
    steps, prints = 40 if task.rehearse else 12, {}
    for name in ("once", "again", "resumed"):
        command = train_command(task, model, name, deterministic, steps)
        if name == "resumed":
            kill_after(command, task.scratch / name, 4)
        run(*command)
        prints[name] = fingerprint(task.scratch / name)
        shutil.rmtree(task.scratch / name)
    return {"repeated_is_equal": prints["again"] == prints["once"], "resumed_is_equal": prints["resumed"] == prints["once"]}


def resume(task):
    """Whole runs with random weights of SmolLM2-135M's shape: repeated, and killed and resumed, bit for bit."""
    model = random_model(task, "smollm2-135m")
    task.record(deterministic=compare_bits(task, model, True))
    task.record(default=compare_bits(task, model, False))
    if not all(task.result["deterministic"].values()):
        task.record(failed="with deterministic algorithms the bits differ")


def generation(task):
    """Tokens a second of 64 samples side by side; random weights seldom end a turn."""
    model = random_model(task, "llama-1.2b")
    new_tokens, prompts = (8, 4) if task.rehearse else (256, 64)
    lines = (KIT / "data/brief_pairs_train.jsonl").read_text(encoding="utf-8").splitlines()[:prompts]
    file = task.scratch / "prompts.jsonl"
    file.write_text("".join(json.dumps({"prompt": json.loads(line)["prompt"]}) + "\n" for line in lines))
    done = run(PROGRAM, "generate", "--model", model, "--prompts", file, "--max-new-tokens", new_tokens, "--batch-size",
               prompts, "--out", task.scratch / "completions.jsonl", stderr=subprocess.PIPE)
    print(done.stderr)
    tokens, seconds = re.search(r"generated (\d+) tokens in ([0-9.]+) s", done.stderr).groups()
    task.record(completions=prompts, tokens=int(tokens), seconds=float(seconds),
                tokens_per_second=round(int(tokens) / float(seconds), 1))


# --- beside others -----------------------------------------------------------------------------------------------------


def transformers(task):
    """A step of the same size by transformers and PyTorch alone: float32 masters as ddro-train has, and none."""
    if not task.rehearse:
        need_gpu()
    need_module("transformers")
    size = {"--pairs": 2, "--micro-batch-pairs": 1, "--prompt-tokens": 16, "--completion-tokens": 16} if task.rehearse else \
           {"--pairs": 64, "--micro-batch-pairs": 8}
    for masters in ("float32", "none"):
        done = run(sys.executable, KIT / "benchmarks/transformers_dpo.py", "--shape", task.shape("llama-1.2b"), "--masters",
                   masters, *itertools.chain(*size.items()))
        task.record(**{f"masters {masters}": json.loads(done.stdout.splitlines()[-1])})


# --- tools of the CUDA toolkit -----------------------------------------------------------------------------------------


def sanitizer(task):
    """The kernels' own test under compute-sanitizer."""
    need_gpu()
    tool = need_tool("compute-sanitizer")
    for check in ("memcheck", "racecheck"):
        done = run(tool, "--tool", check, "--error-exitcode", 9, KIT / "tests/doctor_test",
                   "--gtest_filter=KernelCasesCuda*", check=False, env=test_environment())
        task.record(**{check: done.returncode})
        if done.returncode != 0:
            task.record(failed=f"{check} found errors, which the log has")


def kernel_profile(task):
    """Time and rates of the program's own kernels, by Nsight Compute."""
    need_gpu()
    tool = need_tool("ncu")
    done = run(tool, "--kernel-name-base", "demangled", "--kernel-name", "regex:ddro::", "--launch-count", 12, "--csv",
               "--metrics", "gpu__time_duration.sum,dram__throughput.avg.pct_of_peak_sustained_elapsed", PROGRAM, "doctor",
               "--speed", "135m", "--json")
    lines = done.stdout.splitlines()
    header = next(index for index, line in enumerate(lines) if line.startswith('"ID"'))
    task.record(csv=lines[header:header + 40])


@dataclass(frozen=True)
class Part:
    run: Callable
    limit_s: int

    @property
    def name(self):
        return self.run.__name__


# In the order of what is wanted most, should time run out.
PARTS = [Part(machine, 60), Part(speed_1b, 100), Part(gpu_tests, 90), Part(speed_8b, 120), Part(resume, 120),
         Part(generation, 80), Part(transformers, 100), Part(sanitizer, 100), Part(kernel_profile, 60)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[part.name for part in PARTS])
    parser.add_argument("scratch", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--rehearse", action="store_true")
    arguments = parser.parse_args()
    part = next(part for part in PARTS if part.name == arguments.part)
    task = Task(arguments.scratch, arguments.result, arguments.rehearse)
    try:
        part.run(task)
    except Skipped as reason:
        task.record(skipped=str(reason))
    return 1 if "failed" in task.result else 0


if __name__ == "__main__":
    sys.exit(main())
