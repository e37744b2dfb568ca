"""Prints the first and the last evaluation of a run side by side, and its speed: quickstart_table.py RUN/metrics.jsonl"""

import json
import statistics
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


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        records = read_records(sys.argv[1])
    except (OSError, ValueError) as error:
        sys.exit(f"quickstart_table: {sys.argv[1]}: {error}")
    evaluations = [record for record in records if record.get("kind") == "eval" and PREFIX + "loss" in record]
    if len(evaluations) < 2:
        sys.exit(f"quickstart_table: {sys.argv[1]} holds {len(evaluations)} evaluations of held_out; two are needed")
    before, after = evaluations[0], evaluations[-1]
    width = max(map(len, ROWS.values()))
    print(f"{'held-out pairs':<{width}} {'before':>10} {'after':>10}")
    for name, title in ROWS.items():
        print(f"{title:<{width}} {cell(before, name):>10} {cell(after, name):>10}")
    steps = [record for record in records if record.get("kind") == "train"]
    if steps:
        print(speed_line(steps))


if __name__ == "__main__":
    main()
