"""Compares what `ddro-train inspect data --on-policy` printed with transformers.

usage: check_on_policy.py MODEL ROWS ALPHA < OUTPUT      ROWS are pairs; exits 0 when every number is the same
"""
import re
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures"))
import transformers_scores  # noqa: E402

model, rows, alpha = *sys.argv[1:3], float(sys.argv[3])
output = sys.stdin.read()
scores = transformers_scores.score(model, transformers_scores.read_lines(rows))


def of(role, key):
    return [score[key] for score in scores if score["role"] == role]


def estimate(values):
    return statistics.fmean(values), statistics.stdev(values) / len(values) ** 0.5


def mixed(chosen, rejected):
    return alpha * chosen[0] + (1 - alpha) * rejected[0], ((alpha * chosen[1]) ** 2 + ((1 - alpha) * rejected[1]) ** 2) ** 0.5


chosen, rejected = estimate(of("chosen", "excess")), estimate(of("rejected", "excess"))
tokens = mixed(estimate(of("chosen", "num_tokens")), estimate(of("rejected", "num_tokens")))[0]
mixture = mixed(chosen, rejected)
for name, expected in ("preferred", chosen), ("unpreferred", rejected), ("mixture", mixture):
    line = re.search(rf"^  {name} +(\S+) \(standard error (\S+)\)(?:.*; (\S+) a token)?$", output, re.M)
    if not line:
        sys.exit(f"no line of {name} in:\n{output}")
    got = [float(number) for number in line.groups() if number]
    want = [*expected, *([mixture[0] / tokens] if name == "mixture" else [])]
    if len(got) != len(want) or any(abs(g - w) > 2e-3 for g, w in zip(got, want)):
        sys.exit(f"{name}: got {got}, expected {want}")
possible = abs(mixture[0]) <= 3 * mixture[1]
if ("may be the model's own samples" in output) != possible:
    sys.exit(f"mixture {mixture}, but:\n{output}")
