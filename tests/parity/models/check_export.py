"""Compares transformers' logits of two model folders.

usage: check_export.py SOURCE EXPORTED TOLERANCE      exits 0 when the largest difference is at most TOLERANCE
"""

import sys

import torch
from transformers import AutoModelForCausalLM


def logits(folder):
    model, report = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    problems = {key: names for key, names in report.items() if names}
    if problems:
        sys.exit(f"{folder}: transformers reports {problems}")
    with torch.no_grad():
        return model(input_ids=torch.arange(1, 41)[None] % model.config.vocab_size).logits


source, exported, tolerance = sys.argv[1], sys.argv[2], float(sys.argv[3])
difference = (logits(source) - logits(exported)).abs().max().item()
print(f"largest difference {difference:.3g}, allowed {tolerance:.3g}")
sys.exit(0 if difference <= tolerance else 1)
