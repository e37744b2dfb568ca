#!/usr/bin/env python3
"""Speed of `ddro-train generate` beside transformers' generate, on this machine and with the same threads.

    .venv/bin/python benchmarks/generate.py [--runs N] [--max-new-tokens N] [--threads N] [--model DIR]

Greedy completions of the first prompts of data/held_out_prompts.jsonl in float32, in batches of 1 (one prompt) and 16
(16 prompts, which transformers pads on the left). Runs of both alternate, after one of each that is not counted.
A time is that of the prompts' forward and all tokens; loading the model is in neither. Prints tokens a second (end tokens
included, padding not) and the ratio of each pair of runs, above 1 where ddro-train is faster.
"""
import argparse
import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

from measure import ROOT, environment, spread


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--max-new-tokens", type=int, default=100)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--model", default=str(ROOT / "models" / "SmolLM2-135M-Instruct"))
    parser.add_argument("--program", default=str(ROOT / "build" / "release" / "bin" / "ddro-train"))
    return parser.parse_args()


class Ours:
    def __init__(self, arguments, prompts, folder):
        self.out = Path(folder) / f"out_{len(prompts)}.jsonl"
        rows = Path(folder) / f"prompts_{len(prompts)}.jsonl"
        rows.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
        self.command = [arguments.program, "generate", "--model", arguments.model, "--prompts", rows, "--out", self.out,
                        "--temperature", "0", "--max-new-tokens", str(arguments.max_new_tokens),
                        "--batch-size", str(len(prompts))]

    def run(self):
        """Seconds, tokens (end tokens included) and texts."""
        log = subprocess.run(self.command, check=True, capture_output=True, text=True).stderr
        tokens, seconds = re.search(r"generated (\d+) tokens in ([0-9.]+) s", log).groups()
        return float(seconds), int(tokens), [json.loads(line)["completion"] for line in self.out.open()]


class Theirs:
    def __init__(self, arguments, prompts, model, tokenizer):
        self.model, self.tokenizer, self.limit = model, tokenizer, arguments.max_new_tokens
        texts = [tokenizer.apply_chat_template(p, add_generation_prompt=True, tokenize=False) for p in prompts]
        self.batch = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False,
                               return_token_type_ids=False)

    def run(self):
        begin = time.perf_counter()
        out = self.model.generate(**self.batch, do_sample=False, max_new_tokens=self.limit,
                                  pad_token_id=self.tokenizer.pad_token_id)
        seconds = time.perf_counter() - begin
        tokens, texts = 0, []
        for row in out[:, self.batch.input_ids.shape[1]:].tolist():
            end = row.index(self.tokenizer.eos_token_id) if self.tokenizer.eos_token_id in row else len(row)
            tokens += min(end + 1, len(row))
            texts.append(self.tokenizer.decode(row[:end]))
        return seconds, tokens, texts


def compare(ours, theirs, runs):
    pairs = [(ours.run(), theirs.run()) for _ in range(runs + 1)]
    (_, my_tokens, my_texts), (_, their_tokens, their_texts) = pairs[0]
    equal = sum(mine == other for mine, other in zip(my_texts, their_texts))
    mine = [my_tokens / a[0] for a, _ in pairs[1:]]
    others = [their_tokens / b[0] for _, b in pairs[1:]]
    print(f"  {equal} of {len(my_texts)} completions equal, {my_tokens} and {their_tokens} tokens; "
          f"min / median / max of {runs} paired runs")
    print(f"  ddro-train tokens/s    {spread(mine)}")
    print(f"  transformers tokens/s  {spread(others)}")
    print(f"  ratio                  {spread([a / b for a, b in zip(mine, others)])}", flush=True)


def main():
    arguments = parse_arguments()
    os.environ.update(environment(arguments.threads))
    import torch  # reads the number of threads
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model, padding_side="left")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    model = transformers.AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
    with open(ROOT / "data" / "held_out_prompts.jsonl", encoding="utf-8") as file:
        prompts = [json.loads(line)["prompt"] for line in file]
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, {torch.get_num_threads()} threads, "
          f"load average {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        for batch_size in (1, 16):
            print(f"batch of {batch_size}")
            batch = prompts[:batch_size]
            compare(Ours(arguments, batch, folder), Theirs(arguments, batch, model, tokenizer), arguments.runs)


if __name__ == "__main__":
    main()
