"""Compares log-probabilities that `ddro-train score` wrote with transformers'.

usage: check_scores.py MODEL ROWS SCORES TOLERANCE      exits 0 when no completion differs by more than TOLERANCE
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures"))
import transformers_scores  # noqa: E402

model, rows, scores, tolerance = *sys.argv[1:4], float(sys.argv[4])
expected = transformers_scores.score(model, transformers_scores.read_lines(rows))
got = transformers_scores.read_lines(scores)
if [(e["row"], e["role"], e["num_tokens"]) for e in expected] != [(g["row"], g["role"], g["num_tokens"]) for g in got]:
    sys.exit(f"other completions: expected {expected}, got {got}")
largest = max(abs(e["logp"] - g["logp"]) for e, g in zip(expected, got))
print(f"{len(got)} completions, largest difference {largest:.3g}, allowed {tolerance:.3g}")
sys.exit(0 if largest <= tolerance else 1)
