"""Loads a folder as its users do and prints what ends a turn and what the chat template is.

usage: check_inference.py FOLDER      prints them as JSON
"""

import json
import sys

from transformers import AutoConfig, AutoTokenizer, GenerationConfig

folder = sys.argv[1]
tokenizer = AutoTokenizer.from_pretrained(folder)
print(json.dumps({
    "template": tokenizer.chat_template,
    "eos_token": tokenizer.eos_token,
    "eos_token_id": tokenizer.eos_token_id,
    "generation_eos": GenerationConfig.from_pretrained(folder).eos_token_id,
    "config_eos": AutoConfig.from_pretrained(folder).eos_token_id,
    "dtype": str(AutoConfig.from_pretrained(folder).dtype),
}))
