"""Compares the logits of adapters with those of what was written of them.

usage: check_adapter.py [BASE ADAPTER SEPARATE MERGED]...     exits 0 when peft computes the same with each SEPARATE as
                                                              with ADAPTER, and transformers with MERGED to rounding
"""

import sys
import warnings

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM


def load(folder):
    model, report = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    problems = {key: names for key, names in report.items() if names}
    if problems:
        sys.exit(f"{folder}: transformers reports {problems}")
    return model


def logits(model):
    with torch.no_grad():
        return model.eval()(input_ids=torch.arange(1, 41)[None] % model.config.vocab_size).logits


def compare(base, adapter, separate, merged):
    expected = logits(PeftModel.from_pretrained(load(base), adapter))
    for folder, got, tolerance in ((separate, logits(PeftModel.from_pretrained(load(base), separate)), 0),
                                   (merged, logits(load(merged)), 1e-4 * expected.abs().max().item())):
        difference = (got - expected).abs().max().item()
        print(f"{folder}: largest difference {difference:.3g}, allowed {tolerance:.3g}", flush=True)
        if not difference <= tolerance:
            sys.exit(1)


warnings.simplefilter("error")  # peft warns of tensors that it misses, and of keys that it does not know
for i in range(1, len(sys.argv), 4):
    compare(*sys.argv[i:i + 4])
