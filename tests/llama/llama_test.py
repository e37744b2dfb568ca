"""llama.cpp on GGUF files that ddro-train wrote, models and adapters beside their base: log-probabilities of completions equal
those of `ddro-train score`, and texts get the same tokens. Prints the largest differences.

    scripts/test -L llama
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import xllamacpp

PROGRAM = os.environ["DDRO_TRAIN"]
FIXTURES = Path(os.environ["DDRO_FIXTURES"])
F32 = 0  # ggml_type
# Whole characters: of a token that ends within one llama.cpp tells nothing.
ROWS = [
    {"prompt": "The capital of France is", "chosen": " Paris.", "rejected": " a cheese."},
    {"prompt": "1 + 1 =", "chosen": " 2", "rejected": " 1234567, or"},
    {"prompt": "def double(x): return", "chosen": " 2 * x", "rejected": " don't   know"},
]
TEXTS = ["caf\u00e9 na\u00efve \u4e2d\u6587 \U0001f600", "WE'LL  don't 1234567 x_1 >= 10;", "<|im_start|>user\tHi<|im_end|>", "\u0420\u0443\u0441 e\u0301."]


def ddro_train(*arguments, text=""):
    done = subprocess.run([PROGRAM, *map(str, arguments)], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{arguments}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(("[", "{"))]


class LlamaCpp:
    """A model of llama.cpp in float32 apart from its weights."""

    def __init__(self, model, lora=None):
        params = xllamacpp.CommonParams()
        params.model.path = str(model)
        params.n_ctx, params.n_parallel, params.warmup, params.fit_params, params.verbosity = 256, 1, False, False, 0
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type(F32)
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = os.cpu_count()
        if lora:
            adapter = xllamacpp.CommonAdapterLoraInfo()
            adapter.path, adapter.scale = str(lora), 1.0
            params.lora_adapters = [adapter]
        self.server = xllamacpp.Server(params)

    def log_prob(self, prompt, token):
        """Of `token` after a text or ids: it is made certain, and its log-probability is that from before."""
        reply = self.server.handle_completions({"prompt": prompt, "n_predict": 1, "n_probs": 1, "temperature": 1.0,
                                                "logit_bias": [[token, 1000.0]], "cache_prompt": False})
        [entry] = reply["choices"][0]["logprobs"]["content"]
        assert entry["id"] == token, (entry, token)
        return entry["logprob"], reply["usage"]["prompt_tokens"]

    def completion(self, ids, begin):
        return sum(self.log_prob(ids[:i], ids[i])[0] for i in range(begin, len(ids)))


class Llama(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)
        self.rows = self.scratch / "rows.jsonl"
        self.rows.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")

    def scores(self, model):
        return [line["logp"] for line in ddro_train("score", "--model", model, "--data", self.rows)]

    def export(self, source, name, *options):
        out = self.scratch / name
        ddro_train("export", source, "--out", out, *options)
        return out

    def completions(self, model, end):
        """Ids of each completion with its prompt, and where it begins."""
        prompts = [row["prompt"] for row in ROWS for _ in range(2)]
        wholes = [row["prompt"] + row[side] for row in ROWS for side in ("chosen", "rejected")]
        lines = ddro_train("tokenize", "--model", model, text="\n".join(prompts + wholes) + "\n")
        heads, wholes = lines[: len(prompts)], lines[len(prompts) :]
        for head, whole in zip(heads, wholes, strict=True):
            self.assertEqual(whole[: len(head)], head)
        return [(whole + [end], len(head)) for head, whole in zip(heads, wholes, strict=True)]

    def compare(self, label, llama, scored, end, nats):
        """`scored`: what ddro-train scores in the place of what llama.cpp has loaded."""
        expected = self.scores(scored)
        completions = self.completions(scored, end)
        got = [llama.completion(ids, begin) for ids, begin in completions]
        tokens = sum(len(ids) - begin for ids, begin in completions)
        worst = max(abs(a - b) for a, b in zip(got, expected, strict=True))
        print(f"{label}: {len(got)} completions of {tokens} tokens, mean {sum(expected) / tokens:.2f} nats a token, "
              f"largest difference {worst:.1e} nats", file=sys.stderr)
        self.assertLess(worst, nats)
        return expected

    def check_tokens(self, llama, model):
        """A text and its ids are the same prompt."""
        [[some_token]] = ddro_train("tokenize", "--model", model, text="a\n")
        for text, ids in zip(TEXTS, ddro_train("tokenize", "--model", model, text="\n".join(TEXTS) + "\n"), strict=True):
            self.assertEqual(llama.log_prob(text, some_token), llama.log_prob(ids, some_token), text)

    def test_architectures(self):
        for name in ("llama", "llama_tied", "llama_biases", "llama_scaled", "qwen2", "qwen2_yarn", "qwen3", "gemma2", "gemma3"):
            with self.subTest(name):
                out = self.export(FIXTURES / f"gguf_models/{name}.gguf", f"{name}.gguf", "--dtype", "float32")
                self.compare(name, LlamaCpp(out), out, end=2, nats=1e-2 if "gemma" in name else 1e-4)

    def test_types_of_weights(self):
        """llama.cpp rounds what it multiplies with them to the same type, of Q8_0 to eight bits."""
        source = FIXTURES / "gguf_models/qwen3.gguf"
        for dtype, nats in (("float32", 1e-4), ("float16", 0.02), ("bfloat16", 0.1), ("q8_0", 0.3)):
            with self.subTest(dtype):
                out = self.export(source, f"{dtype}.gguf", "--dtype", dtype)
                llama = LlamaCpp(out)
                self.compare(dtype, llama, out, end=2, nats=nats)
                self.check_tokens(llama, source)

    def test_adapter_beside_its_base(self):
        """Of float32, so that a wrong row shows; with rows in turns and without."""
        for name in ("llama", "qwen2"):
            with self.subTest(name):
                base = self.export(FIXTURES / f"gguf_models/{name}.gguf", f"{name}.gguf", "--dtype", "float32")
                run = self.scratch / name
                config = {"model": {"model_name_or_path": str(base), "dtype": "float32"},
                          "adapter": {"adapter_type": "lora", "r": 8, "lora_alpha": 32},
                          "data": {"train_files": [str(self.rows)]}, "objective": {"loss_type": "ddro"},
                          "train": {"output_dir": str(run), "train_batch_size": 3, "max_steps": 8},
                          "eval": {"eval_strategy": "no"}, "optimizer": {"learning_rate": 1e-2}}
                (self.scratch / "run.yaml").write_text(json.dumps(config))
                ddro_train("train", self.scratch / "run.yaml")
                lora = self.export(run / "final", f"{name}_lora.gguf")
                before = self.scores(base)
                after = self.compare(f"{name} with a LoRA", LlamaCpp(base, lora), run / "final", end=2, nats=1e-3)
                moved = max(abs(a - b) for a, b in zip(after, before, strict=True))
                print(f"the LoRA moves them by up to {moved:.1f} nats", file=sys.stderr)
                self.assertGreater(moved, 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
