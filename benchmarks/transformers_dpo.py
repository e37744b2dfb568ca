#!/usr/bin/env python3
"""A DPO step by transformers and PyTorch alone, on random pairs of the size that `ddro-train doctor --speed` trains on.

    .venv/bin/python benchmarks/transformers_dpo.py --shape llama-1.2b --masters float32

The model is drawn where it is computed. As trainers do it: both completions of a pair as rows of one batch, logits of
completion positions only, scaled-dot-product attention, fused AdamW, the reference's log-probabilities computed
beforehand. --masters float32 keeps float32 weights under autocast to bfloat16, as ddro-train does; none trains bfloat16
weights themselves, which is faster and loses small updates. Prints one JSON object.
"""
import argparse
import json
import statistics
import time

import torch
import transformers

from random_model import SHAPES, config_of

BETA = 0.1


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--masters", choices=["float32", "none"], required=True)
    parser.add_argument("--pairs", type=int, default=64, help="an optimizer step")
    parser.add_argument("--micro-batch-pairs", type=int, default=8)
    parser.add_argument("--prompt-tokens", type=int, default=256)
    parser.add_argument("--completion-tokens", type=int, default=256)
    parser.add_argument("--warmup-steps", type=int, default=2)
    parser.add_argument("--timed-steps", type=int, default=5)
    return parser.parse_args()


def make_model(arguments, device):
    config = transformers.AutoConfig.for_model(**config_of(arguments.shape))
    with torch.device(device):
        model = transformers.AutoModelForCausalLM.from_config(
            config, dtype=torch.float32 if arguments.masters == "float32" else torch.bfloat16, attn_implementation="sdpa")
    return model.train()


def random_rows(arguments, vocabulary, device):
    """Pairs x 2 x tokens: the completions of a pair share their prompt."""
    ids = torch.randint(vocabulary, (arguments.pairs, 2, arguments.prompt_tokens + arguments.completion_tokens),
                        device=device)
    ids[:, 1, :arguments.prompt_tokens] = ids[:, 0, :arguments.prompt_tokens]
    return ids


def log_probs(model, rows, completion_tokens):
    """Of each completion: rows x tokens to one number a row."""
    logits = model(rows, logits_to_keep=completion_tokens + 1, use_cache=False).logits[:, :-1].float()
    targets = rows[:, -completion_tokens:, None]
    return (logits.gather(-1, targets).squeeze(-1) - logits.logsumexp(-1)).sum(-1)


class Trainer:
    def __init__(self, arguments):
        torch.manual_seed(0)
        self.arguments = arguments
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = make_model(arguments, self.device)
        rows = random_rows(arguments, self.model.config.vocab_size, self.device)
        self.micro_batches = [part.flatten(0, 1) for part in rows.split(arguments.micro_batch_pairs)]
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-6, weight_decay=0, fused=True)
        with torch.no_grad():
            self.reference = [self.log_probs(rows) for rows in self.micro_batches]

    def log_probs(self, rows):
        with torch.autocast(self.device, torch.bfloat16, enabled=self.arguments.masters == "float32"):
            return log_probs(self.model, rows, self.arguments.completion_tokens)

    def step(self):
        for rows, reference in zip(self.micro_batches, self.reference):
            ratio = (self.log_probs(rows) - reference).view(-1, 2)
            loss = -torch.nn.functional.logsigmoid(BETA * (ratio[:, 0] - ratio[:, 1])).sum() / self.arguments.pairs
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.device == "cuda":
            torch.cuda.synchronize()

    def timed_step(self):
        start = time.perf_counter()
        self.step()
        return time.perf_counter() - start


def main():
    arguments = parse_arguments()
    trainer = Trainer(arguments)
    for _ in range(arguments.warmup_steps):
        trainer.step()
    seconds = [trainer.timed_step() for _ in range(arguments.timed_steps)]
    peak = torch.cuda.max_memory_allocated() if trainer.device == "cuda" else None
    print(json.dumps({"transformers": transformers.__version__, "torch": torch.__version__, "masters": arguments.masters,
                      "pairs_per_step": arguments.pairs, "step_seconds": seconds,
                      "pairs_per_second": arguments.pairs / statistics.median(seconds), "peak_memory_bytes": peak}))


if __name__ == "__main__":
    main()
