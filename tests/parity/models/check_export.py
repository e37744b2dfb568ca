"""Compares transformers' logits of pairs of model folders; a source may be a GGUF file.

usage: check_export.py TOLERANCE [SOURCE EXPORTED]...      exits 0 when the largest difference is at most TOLERANCE
"""

import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM


def logits(folder):
    path = pathlib.Path(folder)
    where = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name} if path.suffix == ".gguf" else {
        "pretrained_model_name_or_path": path}
    model, report = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32, output_loading_info=True)
    problems = {key: names for key, names in report.items() if names}
    if problems and path.suffix != ".gguf":
        sys.exit(f"{folder}: transformers reports {problems}")
    with torch.no_grad():
        return model(input_ids=torch.arange(1, 41)[None] % model.config.vocab_size).logits


tolerance, folders = float(sys.argv[1]), sys.argv[2:]
largest = 0
for source, exported in zip(folders[::2], folders[1::2]):
    difference = (logits(source) - logits(exported)).abs().max().item()
    print(f"{exported}: difference {difference:.3g}, allowed {tolerance:.3g}")
    largest = max(largest, difference)
sys.exit(0 if largest <= tolerance else 1)
