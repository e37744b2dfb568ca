"""A long run in small: 100,000 steps with evaluations, samples and checkpoints, once in one process and once killed again
and again. Memory, threads, open files and files on disk stay what they are; both end with the same bits.

    ctest --preset release -C fault -R soak        (DDRO_SOAK_STEPS says how many steps)
"""
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from tiny_run import MODEL, TinyRun

STEPS = int(os.environ.get("DDRO_SOAK_STEPS", 100_000))
SAMPLE_S = 1.0
KILL_S = (2.0, 20.0)  # from a start to its kill
GROWTH = {"memory_mb": 8, "threads": 2, "open_files": 2, "files": 2}  # from the second tenth of a run to the last


def soaked(folder):
    return TinyRun(folder, objective={"loss_type": "dpo", "label_smoothing": 0.1}, optimizer={"learning_rate": 1e-4},
                   train={"max_steps": STEPS, "train_batch_size": 2}, logging={"logging_steps": 10}, checkpoint={"save_steps": 200},
                   eval={"eval_steps": 500, "prompts": str(MODEL / "pairs_eval.jsonl"), "num_prompts": 2,
                         "num_samples": 2, "max_new_tokens": 8})


def measure(process, run):
    """None when the process has ended."""
    try:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
        return {"memory_mb": int(status["VmRSS"].split()[0]) / 1024, "threads": int(status["Threads"]),
                "open_files": len(os.listdir(f"/proc/{process.pid}/fd")), "files": run.num_files()}
    except (OSError, KeyError):
        return None


def watch(process, run, seconds=float("inf")):
    samples, end = [], time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        if sample := measure(process, run):
            samples.append(sample)
        time.sleep(SAMPLE_S)
    return samples


def run_straight(run, log):
    process = run.start(log)
    samples = watch(process, run)
    assert process.returncode == 0, log.read_text()[-2000:]
    return samples


def run_killed(run, log):
    chance, most_files, kills = random.Random(20261129), 0, 0
    while True:
        process = run.start(log)
        samples = watch(process, run, chance.uniform(*KILL_S))
        most_files = max([most_files, *(sample["files"] for sample in samples)])
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
    assert process.returncode == 0, log.read_text()[-2000:]
    return kills, most_files


def expect_flat(samples):
    tenth = len(samples) // 10
    assert tenth > 0, "the run was too short to be measured"
    early, late = samples[tenth:2 * tenth], samples[-tenth:]
    for name, allowed in GROWTH.items():
        before, after = (statistics.median(sample[name] for sample in part) for part in (early, late))
        most = max(sample[name] for sample in samples)
        print(f"  {name}: {before:.1f} in the second tenth, {after:.1f} in the last, at most {most:.1f}", flush=True)
        assert after <= before + allowed, f"{name} has grown"


def main():
    with tempfile.TemporaryDirectory() as holder:
        folder = Path(holder)
        straight, killed = (soaked(folder / name) for name in ("straight", "killed"))
        begin = time.monotonic()
        samples = run_straight(straight, folder / "straight.log")
        print(f"{STEPS} steps in one process, {time.monotonic() - begin:.0f} s:", flush=True)
        expect_flat(samples)
        kills, most_files = run_killed(killed, folder / "killed.log")
        print(f"{STEPS} steps with {kills} kills: at most {most_files} files", flush=True)
        assert killed.result() == straight.result(), "the runs differ"
        assert killed.num_files() == straight.num_files(), "files were left"


if __name__ == "__main__":
    main()
