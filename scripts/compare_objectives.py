"""Objectives on a language model, compared by what the trained models write: see docs/comparison.md.

The rows are the reference model's own answers, labelled by a rule (data/README.md), so the preferred distribution is
known: the reference, given that the rule holds. Training, sampling and scoring are `ddro-train`'s.
"""
import argparse
import concurrent.futures
import hashlib
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build/release/bin/ddro-train"
MODEL = ROOT / "models/SmolLM2-135M-Instruct"
OUT = ROOT / "runs/comparison"
BEFORE = OUT / "before"
DOCS = ROOT / "docs/comparison.md"
MAX_WORDS = 16  # the rule: an answer of at most so many words is preferred
STEPS = 25
LEARNING_RATES = ("3.0e-6", "1.0e-5", "3.0e-5")

DDRO = {"loss_type": "ddro", "alpha": 0.5, "max_weight": 10}
RDRO = {"loss_type": "rdro", "alpha": 0.5}
DPO = {"loss_type": "sigmoid", "beta": 0.1}
KTO = {"loss_type": "kto", "beta": 0.1}
SFT = {"loss_type": "sft"}

# title -> (file of training rows, rows a step, objective, learning rates)
PAIRS = {name: ("brief_pairs_train_400.jsonl", 16, objective, LEARNING_RATES) for name, objective in {
    "DDRO": DDRO, "RDRO": RDRO, "DPO": DPO, "KTO": KTO, "SFT on preferred": SFT}.items()}
for name in ("DPO", "KTO"):  # at the lowest of these rates they have gone far already
    PAIRS[name] = (*PAIRS[name][:3], ("1.0e-6", *LEARNING_RATES))
PAIRS["DPO, beta 1"] = ("brief_pairs_train_400.jsonl", 16, DPO | {"beta": 1.0}, ("1.0e-5",))
LABELS = {name: ("brief_labels_train.jsonl", 32, objective, ("1.0e-5",)) for name, objective in {
    "DDRO, alpha 0.5": DDRO, "DDRO, alpha auto (0.326)": DDRO | {"alpha": "auto"},
    "RDRO, alpha auto (0.326)": RDRO | {"alpha": "auto"},
    "KTO": KTO, "SFT on preferred": SFT}.items()}
CAP = {f"DDRO, {name}": ("brief_pairs_train_400.jsonl", 16, DDRO | options, ("1.0e-5",)) for name, options in {
    "cap 3": {"max_weight": 3}, "cap 10": {}, "cap 1000": {"max_weight": 1000}, "cap auto": {"max_weight": "auto"},
    "nnbd 10": {"stabilizer": "nnbd"}}.items()}
PARTS = {"pairs": PAIRS, "labels": LABELS, "cap": CAP}

COLUMNS = {
    "rule": "rule satisfied",
    "preferred": "log-ratio, preferred",
    "unpreferred": "log-ratio, unpreferred",
    "kl": "KL to reference",
    "fluency": "reference's perplexity of the answers",
    "words": "words",
    "distinct_2": "distinct 2-grams",
    "perplexity": "perplexity elsewhere",
}


threads = os.cpu_count()  # of one program; --workers divides them


def run(*arguments):
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], cwd=ROOT, text=True, capture_output=True, check=False,
                          env=os.environ | {"OMP_NUM_THREADS": str(threads)})
    if done.returncode != 0:
        sys.exit(f"ddro-train {arguments[0]} failed ({done.returncode}): {done.stderr[-1000:]}")


def read_lines(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def train(folder, file, batch, objective, learning_rate, steps):
    config = {
        "model": {"model_name_or_path": str(MODEL), "dtype": "float32"},
        "reference": {"ref_cache_dir": str(OUT / "ref_cache")},
        "data": {"train_files": [str(ROOT / "data" / file)], "max_length": 256},
        "objective": objective,
        "train": {"output_dir": str(folder / "run"), "train_batch_size": batch, "micro_batch_tokens": 4096,
                  "max_steps": steps},
        "optimizer": {"learning_rate": float(learning_rate), "lr_scheduler_type": "cosine", "warmup_ratio": 0.1,
                      "adam_beta2": 0.95},
        "eval": {"eval_strategy": "no", "eval_on_start": False},
        "checkpoint": {"save_steps": 10 * steps, "save_total_limit": 1},
        "logging": {"report_to": ["jsonl"]}}
    (folder / "run.yaml").write_text(json.dumps(config))
    run("train", folder / "run.yaml")


def score(model, data, out):
    run("score", "--model", model, "--data", data, "--max-length", 512, "--out", out)


def log_ratios(scores, reference_scores):
    return [row["logp"] - reference["logp"] for row, reference in zip(scores, reference_scores, strict=True)]


def distinct(texts, n, count=1000):
    """Share of the n-grams of words that are different ones, of the first `count`: of more, fewer would be new."""
    grams = [tuple(words[i:i + n]) for words in texts for i in range(len(words) - n + 1)][:count]
    return len(set(grams)) / max(len(grams), 1)


def perplexity(scores):
    return math.exp(-sum(row["logp"] for row in scores) / sum(row["num_tokens"] for row in scores))


def sample_and_score(model, folder, samples):
    """What the model writes, and its log-probabilities of that, of held-out rows and of other texts, into `folder`."""
    run("generate", "--model", model, "--prompts", ROOT / "data/held_out_prompts.jsonl", "--num-samples", samples,
        "--max-new-tokens", 48, "--batch-size", 64, "--out", folder / "answers.jsonl")
    # An answer without text has no completion to score.
    write_lines(folder / "answer_rows.jsonl", [
        {"prompt": answer["prompt"], "label": True, "finished": answer["finished"],
         "completion": [{"role": "assistant", "content": answer["completion"]}]}
        for answer in read_lines(folder / "answers.jsonl") if answer["completion"].strip()])
    score(model, folder / "answer_rows.jsonl", folder / "answer_scores.jsonl")
    score(MODEL, folder / "answer_rows.jsonl", folder / "answer_reference_scores.jsonl")
    score(model, ROOT / "data/brief_labels_eval.jsonl", folder / "held_out_scores.jsonl")
    score(model, ROOT / "data/unrelated_texts.jsonl", folder / "text_scores.jsonl")


def summary(folder):
    """The figures of a model that sample_and_score went over; those of the reference serve every other one."""
    texts = [answer["completion"].split() for answer in read_lines(folder / "answers.jsonl")]
    held_out = read_lines(folder / "held_out_scores.jsonl")
    of_held_out = log_ratios(held_out, read_lines(BEFORE / "held_out_scores.jsonl"))
    of_label = lambda label: statistics.mean(
        ratio for row, ratio in zip(held_out, of_held_out) if row["label"] == label)
    of_reference = read_lines(folder / "answer_reference_scores.jsonl")
    return {
        "rule": statistics.mean(len(words) <= MAX_WORDS for words in texts),
        "preferred": of_label(True),
        "unpreferred": of_label(False),
        "kl": statistics.mean(log_ratios(read_lines(folder / "answer_scores.jsonl"), of_reference)),
        "fluency": perplexity(of_reference),
        "words": statistics.mean(map(len, texts)),
        "distinct_2": distinct(texts, 2),
        "perplexity": perplexity(read_lines(folder / "text_scores.jsonl"))}


def result_of(title, file, batch, objective, learning_rate, arguments):
    """Trains and measures once; the weights are removed afterwards. None where only tables are to be written."""
    key = [file, batch, objective, learning_rate, STEPS]
    folder = OUT / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]
    if not (folder / "result.json").is_file():
        if arguments.rewrite:
            return None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        train(folder, file, batch, objective, learning_rate, STEPS)
        sample_and_score(folder / "run/final", folder, samples=4)
        shutil.move(folder / "run/metrics.jsonl", folder)
        shutil.rmtree(folder / "run")
        (folder / "result.json").write_text(json.dumps({"key": key} | summary(folder), indent=1))
    result = summary(folder)
    print(f"{title}, {learning_rate}: " + ", ".join(f"{column} {result[column]:.3f}" for column in COLUMNS), flush=True)
    return result


def before(arguments):
    """The reference itself."""
    if not (BEFORE / "result.json").is_file() and not arguments.rewrite:
        BEFORE.mkdir(parents=True, exist_ok=True)
        sample_and_score(MODEL, BEFORE, samples=4)
        (BEFORE / "result.json").write_text(json.dumps(summary(BEFORE), indent=1))
    return summary(BEFORE)


def preferred_distribution():
    """What a policy would show that were p+ itself: the held-out samples of it. Its log-ratio to the reference is
    -log(share) on average where every prompt has the same share of preferred answers, and less otherwise."""
    rows = read_lines(ROOT / "data/brief_labels_eval.jsonl")
    texts = [row["completion"][0]["content"].split() for row in rows if row["label"]]
    scores = [score for score in read_lines(BEFORE / "held_out_scores.jsonl") if score["label"]]
    ratio = -math.log(len(texts) / len(rows))
    return {"rule": statistics.mean(len(words) <= MAX_WORDS for words in texts), "preferred": ratio,
            "unpreferred": -math.inf, "kl": ratio, "fluency": perplexity(scores),
            "words": statistics.mean(map(len, texts)), "distinct_2": distinct(texts, 2), "perplexity": math.nan}


def table(lines):
    """lines: (name, learning rate, result)"""
    digits = {"words": 1, "perplexity": 1, "fluency": 1}
    text = "| | learning rate | " + " | ".join(COLUMNS.values()) + " |\n| --- |" + " --- |" * (1 + len(COLUMNS)) + "\n"
    for name, rate, result in lines:
        text += f"| {name} | {rate} | " + " | ".join(
            f"{result[column]:.{digits.get(column, 2)}f}" if math.isfinite(result[column]) else "" for column in COLUMNS
        ) + " |\n"
    return text


def write_table(part, text):
    begin, end = f"<!-- {part}: written by scripts/compare_objectives -->\n", "<!-- end -->\n"
    before_it, rest = DOCS.read_text(encoding="utf-8").split(begin)
    DOCS.write_text(before_it + begin + "\n" + text + "\n" + end + rest.split(end, 1)[1], encoding="utf-8")


def smoke():
    before(argparse.Namespace(rewrite=False))
    folder = OUT / "smoke"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    train(folder, "brief_pairs_train_400.jsonl", 4, DDRO, "1.0e-5", 2)
    sample_and_score(folder / "run/final", folder, samples=1)
    result = summary(folder)
    shutil.rmtree(folder)
    print(table([("DDRO", "1.0e-5", result)]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(PARTS))
    parser.add_argument("--rewrite", action="store_true", help="tables of what is measured; nothing is trained")
    parser.add_argument("--smoke", action="store_true", help="two steps, measured once; nothing is written")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time, which share the cores")
    arguments = parser.parse_args()
    global threads
    threads = max(1, os.cpu_count() // arguments.workers)
    if arguments.smoke:
        return smoke()
    base = [("before", "", before(arguments)), ("p+ itself", "", preferred_distribution())]
    for part in [arguments.only] if arguments.only else PARTS:
        jobs = [(name, file, batch, objective, rate)
                for name, (file, batch, objective, rates) in PARTS[part].items() for rate in rates]
        with concurrent.futures.ThreadPoolExecutor(arguments.workers) as pool:
            done = pool.map(lambda job: result_of(*job, arguments), jobs)
            results = [(job[0], job[4], result) for job, result in zip(jobs, done)]
        text = table(base + [line for line in results if line[2]])
        write_table(part, text)
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
