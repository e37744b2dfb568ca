"""Reads a folder's README.md as the Hugging Face hub's own library does, and prints its header as one JSON object.

usage: check_card.py FOLDER     exits 0 when the hub's required and known fields are as they should be
"""
import json
import sys

from huggingface_hub import ModelCard

card = ModelCard.load(f"{sys.argv[1]}/README.md")
data = card.data.to_dict()
assert isinstance(data["tags"], list) and all(isinstance(tag, str) for tag in data["tags"]), data
assert card.text.lstrip().startswith("# "), card.text
print(json.dumps(data))
