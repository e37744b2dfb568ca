"""Exits with 0 when transformers reads the same weights from two folders, in every bit: check_same_model.py A B"""

import sys

import torch
import transformers


def weights(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, torch_dtype="auto").state_dict()


def main():
    a, b = weights(sys.argv[1]), weights(sys.argv[2])
    shared = a.keys() & b.keys()
    differing = [*(a.keys() ^ b.keys()), *(name for name in shared if not torch.equal(a[name], b[name]))]
    if differing:
        sys.exit(f"these differ: {differing}")


if __name__ == "__main__":
    main()
