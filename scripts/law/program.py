"""ddro-train and its files."""
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("DDRO_TRAIN", ROOT / "build/release/bin/ddro-train"))


def read_lines(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write_lines(path, rows):
    """Whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    partial.replace(path)


def run_program(*arguments):
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], text=True, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"ddro-train {arguments[0]} failed ({done.returncode}): {done.stderr[-1000:]}")


def text_of(row):
    return row["completion"][0]["content"]


def generate(model, prompts, count, seed, scratch):
    """Answers as rows: 48 tokens at most, from the model's whole distribution."""
    write_lines(scratch / "prompts.jsonl", [{"prompt": [{"role": "user", "content": text}]} for text in prompts])
    run_program("generate", "--model", model, "--prompts", scratch / "prompts.jsonl", "--num-samples", count,
                "--max-new-tokens", 48, "--batch-size", 64, "--seed", seed, "--out", scratch / "answers.jsonl")
    return [row | {"completion": [{"role": "assistant", "content": row["completion"]}]}
            for row in read_lines(scratch / "answers.jsonl")]


def score(model, rows, scratch):
    """Log-probability of each row's completion."""
    write_lines(scratch / "rows.jsonl", [
        {"label": True} | {key: row[key] for key in ("prompt", "completion", "finished")} for row in rows])
    run_program("score", "--model", model, "--data", scratch / "rows.jsonl", "--out", scratch / "scores.jsonl")
    return [row["logp"] for row in read_lines(scratch / "scores.jsonl")]
