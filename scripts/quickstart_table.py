"""Prints the first and the last evaluation of a run side by side: quickstart_table.py RUN/metrics.jsonl"""

import json
import sys

PREFIX = "eval_held_out_"
ROWS = {
    "loss": "loss",
    "rewards/accuracies": "accuracy (preferred above unpreferred)",
    "rewards/margins": "margin, nats",
    "ratio/auc": "AUC of the log-ratio",
    "log_ratio/chosen": "mean log-ratio, preferred",
    "log_ratio/rejected": "mean log-ratio, unpreferred",
}


def read_evaluations(path):
    with open(path, encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    return [record for record in records if record.get("kind") == "eval" and PREFIX + "loss" in record]


def cell(record, name):
    value = record.get(PREFIX + name)
    return "n/a" if value is None else f"{value:.4f}"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        evaluations = read_evaluations(sys.argv[1])
    except (OSError, ValueError) as error:
        sys.exit(f"quickstart_table: {sys.argv[1]}: {error}")
    if len(evaluations) < 2:
        sys.exit(f"quickstart_table: {sys.argv[1]} holds {len(evaluations)} evaluations of held_out; two are needed")
    before, after = evaluations[0], evaluations[-1]
    width = max(map(len, ROWS.values()))
    print(f"{'held-out pairs':<{width}} {'before':>10} {'after':>10}")
    for name, title in ROWS.items():
        print(f"{title:<{width}} {cell(before, name):>10} {cell(after, name):>10}")


if __name__ == "__main__":
    main()
