"""What a run exports, read by others: lm-evaluation-harness gives every completion the log-probability that
`ddro-train score` gives it, and transformers loads the folders without a word.

    .venv/bin/python tests/scripts/lm_eval_test.py
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("DDRO_TRAIN", ROOT / "build/release/bin/ddro-train"))
TINY = Path(os.environ.get("DDRO_FIXTURES", ROOT / ".cache/fixtures")) / "tiny_run"
PAIRS = TINY / "pairs_eval.jsonl"
END = "<|im_end|>"  # of the tiny model, as of SmolLM2: the last token of a finished answer

CONFIG = f"""
model: {{model_name_or_path: {TINY}/model, dtype: float32}}
data: {{train_files: [{TINY}/pairs_train.jsonl], max_length: 128}}
train: {{output_dir: OUTPUT, train_batch_size: 8, num_train_epochs: 2}}
optimizer: {{learning_rate: 3.0e-3}}
eval: {{eval_strategy: "no", eval_on_start: false}}
checkpoint: {{save_steps: 7}}
"""
TASK = f"""
include: {ROOT}/data/lm_eval/brief_pairs.yaml
task: tiny_pairs
dataset_kwargs: {{data_files: {{test: {PAIRS}}}}}
"""


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run(*command, **environment):
    # One thread: the model is tiny, and the harness's own threads would only wait for each other.
    done = subprocess.run([*map(str, command)], env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
                          capture_output=True, text=True, timeout=500)
    if done.returncode != 0:
        raise AssertionError(f"{command} exits with {done.returncode}: {done.stderr[-4000:]}")
    return done.stdout


def scores(model, rows=PAIRS, *options):
    """(row, role) -> log-probability, by ddro-train."""
    lines = map(json.loads, run(PROGRAM, "score", "--model", model, "--data", rows, *options).splitlines())
    return {(line["row"], line["role"]): line["logp"] for line in lines}


def accuracy(logps):
    rows = {row for row, _ in logps}
    return sum(logps[row, "chosen"] > logps[row, "rejected"] for row in rows) / len(rows)


def margins(logps):
    """row -> by how much the preferred completion is more likely."""
    return {row: logps[row, "chosen"] - logps[row, "rejected"] for row, _ in logps}


def largest_difference(left, right):
    return max(abs(left[key] - right[key]) for key in left)


def as_counted(context, completion):
    """Prompt and completion as lm-eval separates them: white space at the context's end goes to the completion."""
    prompt = context.rstrip()
    return prompt, context[len(prompt) :] + completion


class LmEvalTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        cls.folder = Path(holder.name)
        config = cls.folder / "run.yaml"
        config.write_text(CONFIG.replace("OUTPUT", str(cls.folder / "run")))
        run(PROGRAM, "train", config)
        cls.checkpoint = cls.folder / "run/checkpoints/step_000007"  # neither the first weights nor the last
        cls.exported = cls.folder / "exported"
        run(PROGRAM, "export", cls.checkpoint, "--out", cls.exported)

    def evaluate(self, model):
        """lm-eval's results and samples of the committed task on the tiny model's pairs."""
        tasks, out = self.folder / "tasks", self.folder / "lm_eval"
        tasks.mkdir()
        (tasks / "tiny_pairs.yaml").write_text(TASK)
        run(sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={model},dtype=float32",
            "--device", "cpu", "--batch_size", "4", "--include_path", tasks, "--tasks", "tiny_pairs",
            "--apply_chat_template", "--log_samples", "--output_path", out,
            HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=str(self.folder / "huggingface"))
        (results,), (samples,) = out.rglob("results_*.json"), out.rglob("samples_*.jsonl")
        return json.loads(results.read_text())["results"]["tiny_pairs"], read_lines(samples)

    def test_every_log_probability_is_that_of_score(self):
        expected = scores(self.checkpoint)
        # The three models are far apart, and so are their accuracies: only the right one can pass.
        for other in (TINY / "model", self.folder / "run/final"):
            self.assertGreater(largest_difference(margins(expected), margins(scores(other))), 1.0)
        self.assertNotEqual(accuracy(expected), accuracy(scores(TINY / "model")))

        results, samples = self.evaluate(self.exported)
        rows = read_lines(PAIRS)
        self.assertEqual(sorted(sample["doc_id"] for sample in samples), list(range(len(rows))))
        found, counted = {}, [{} for _ in rows]
        for sample in samples:
            number = sample["doc_id"]
            for index, role in enumerate(("chosen", "rejected")):
                request = sample["arguments"][f"gen_args_{index}"]
                answer = rows[number][role][0]["content"]
                self.assertEqual(request["arg_1"], answer + END)
                counted[number]["prompt"], counted[number][role] = as_counted(request["arg_0"], answer)
                found[number, role] = float(sample["filtered_resps"][index][0])

        strings = self.folder / "strings.jsonl"
        strings.write_text("".join(json.dumps(row) + "\n" for row in counted), encoding="utf-8")
        same_tokens = scores(self.checkpoint, strings, "--parse-control-tokens")
        self.assertEqual(found.keys(), same_tokens.keys())
        self.assertLess(largest_difference(same_tokens, found), 1e-3)
        # What the rows themselves give differs by that white space alone, which both completions share.
        self.assertLess(largest_difference(margins(expected), margins(found)), 1e-3)
        self.assertEqual(results["acc,none"], accuracy(expected))

    def test_transformers_loads_the_folders_without_a_word(self):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

        halved = self.folder / "bfloat16"
        run(PROGRAM, "export", self.checkpoint, "--out", halved, "--dtype", "bfloat16")
        for folder, dtype in ((self.folder / "run/final", torch.float32), (halved, torch.bfloat16)):
            with self.assertNoLogs("transformers", "WARNING"), warnings.catch_warnings():
                warnings.simplefilter("error")
                # dtype auto is what servers do: the folder's own type, from config.json.
                model, report = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", output_loading_info=True)
                tokenizer = AutoTokenizer.from_pretrained(folder)
                generation = GenerationConfig.from_pretrained(folder)
            self.assertFalse(any(report.values()), report)
            self.assertEqual(model.dtype, dtype)
            self.assertEqual(model.config.architectures, ["LlamaForCausalLM"])
            self.assertIs(model.lm_head.weight, model.model.embed_tokens.weight)
            self.assertEqual(generation.eos_token_id, tokenizer.convert_tokens_to_ids(END))
            chat = [{"role": "user", "content": "Hi"}]
            self.assertIn("Hi" + END, tokenizer.apply_chat_template(chat, tokenize=False))


if __name__ == "__main__":
    unittest.main()
