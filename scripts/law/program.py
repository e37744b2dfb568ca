"""ddro-train and its files."""
import contextlib
import json
import os
import subprocess
import sys
import tempfile
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


def as_prompt(text):
    return [{"role": "user", "content": text}]


def as_completion(text):
    return [{"role": "assistant", "content": text}]


def text_of(row):
    return row["completion"][0]["content"]


@contextlib.contextmanager
def scratch_folder():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def generate(model, prompts, count, seed, max_new_tokens):
    """Answers as rows, from the model's whole distribution."""
    with scratch_folder() as scratch:
        write_lines(scratch / "prompts.jsonl", [{"prompt": as_prompt(text)} for text in prompts])
        run_program("generate", "--model", model, "--prompts", scratch / "prompts.jsonl", "--num-samples", count,
                    "--max-new-tokens", max_new_tokens, "--batch-size", 64, "--seed", seed,
                    "--out", scratch / "answers.jsonl")
        return [row | {"completion": as_completion(row["completion"])} for row in read_lines(scratch / "answers.jsonl")]


def score(model, rows):
    """Log-probability of each row's completion."""
    with scratch_folder() as scratch:
        write_lines(scratch / "rows.jsonl", [
            {"label": True} | {key: row[key] for key in ("prompt", "completion", "finished")} for row in rows])
        run_program("score", "--model", model, "--data", scratch / "rows.jsonl", "--out", scratch / "scores.jsonl")
        return [row["logp"] for row in read_lines(scratch / "scores.jsonl")]
