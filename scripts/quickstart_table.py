"""Prints the first and the last evaluation of a run side by side, its speed, and what the model says before and after:

    quickstart_table.py RUN/metrics.jsonl ANSWERS_BEFORE.jsonl ANSWERS_AFTER.jsonl

The answers are those of `ddro-train generate` to the same prompts.
"""

import json
import statistics
import sys

MAX_WORDS = 16
NUM_EXAMPLES = 3
PREFIX = "eval_held_out_"
ROWS = {
    "loss": "loss",
    "rewards/accuracies": "accuracy (preferred above unpreferred)",
    "rewards/margins": "margin, nats",
    "ratio/auc": "AUC of the log-ratio",
    "log_ratio/chosen": "mean log-ratio, preferred",
    "log_ratio/rejected": "mean log-ratio, unpreferred",
}


def read_records(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def cell(record, name):
    value = record.get(PREFIX + name)
    return "n/a" if value is None else f"{value:.4f}"


def speed_line(steps):
    """Medians over the steps; the matmul rate is the one measured when the run started."""
    median = lambda name: statistics.median(step[name] for step in steps)
    peak = max(step["peak_memory_bytes"] for step in steps)
    return (
        f"{len(steps)} steps, {median('step_time_s'):.2f} s each, {median('tokens_per_second'):.0f} tokens/s, "
        f"{100 * median('mfu'):.0f} % of the matmul rate, peak memory {peak / 1e9:.2f} GB"
    )


def is_brief(answer):
    """The rule that labelled the data: data/README.md."""
    return len(answer["completion"].split()) <= MAX_WORDS


def brief_share(answers):
    return sum(map(is_brief, answers)) / len(answers)


def print_examples(before, after):
    """The first answer to the first prompts, one above the other."""
    shown = set()
    for old, new in zip(before, after):
        question = old["prompt"][-1]["content"]
        if question in shown or len(shown) == NUM_EXAMPLES:
            continue
        shown.add(question)
        print(f"\n  {question}")
        for label, answer in (("before", old), ("after", new)):
            print(f"    {label:<7} {' '.join(answer['completion'].split())}{'' if answer['finished'] else ' ...'}")


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    files = []
    for path in sys.argv[1:]:
        try:
            files.append(read_records(path))
        except (OSError, ValueError) as error:
            sys.exit(f"quickstart_table: {path}: {error}")
    records, answers_before, answers_after = files
    if not answers_before or len(answers_before) != len(answers_after):
        sys.exit("quickstart_table: as many answers before as after are needed")
    evaluations = [record for record in records if record.get("kind") == "eval" and PREFIX + "loss" in record]
    if len(evaluations) < 2:
        sys.exit(f"quickstart_table: {sys.argv[1]} holds {len(evaluations)} evaluations of held_out; two are needed")
    before, after = evaluations[0], evaluations[-1]
    width = max(map(len, ROWS.values()))
    print(f"{'held-out pairs':<{width}} {'before':>10} {'after':>10}")
    for name, title in ROWS.items():
        print(f"{title:<{width}} {cell(before, name):>10} {cell(after, name):>10}")
    title = f"sampled answers of at most {MAX_WORDS} words"
    print(f"{title:<{width}} {brief_share(answers_before):>10.4f} {brief_share(answers_after):>10.4f}")
    print_examples(answers_before, answers_after)
    print()
    steps = [record for record in records if record.get("kind") == "train"]
    if steps:
        print(speed_line(steps))


if __name__ == "__main__":
    main()
