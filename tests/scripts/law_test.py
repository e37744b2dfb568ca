"""The experiment of scripts/reproduce_law: its estimates come out where they must, and in its smallest form every step
runs once and is not made again.

    .venv/bin/python tests/scripts/law_test.py
"""

import fcntl
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from law import prompts, samples, table  # noqa: E402

PROGRAM = Path(os.environ.get("DDRO_TRAIN", ROOT / "build/release/bin/ddro-train"))
TINY = Path(os.environ.get("DDRO_FIXTURES", ROOT / ".cache/fixtures")) / "tiny_run"

# A model whose answers are words, some of them "the": a random one's are bytes that make no text.
CONFIG = f"""
model: {{model_name_or_path: {TINY}/model, dtype: float32}}
data: {{train_files: [FOLDER/rows.jsonl], max_length: 128}}
objective: {{loss_type: sft}}
train: {{output_dir: FOLDER/run, train_batch_size: 8, num_train_epochs: 15}}
optimizer: {{learning_rate: 1.0e-2}}
eval: {{eval_strategy: "no", eval_on_start: false}}
"""


def run(*command):
    return subprocess.run([*map(str, command)], env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True,
                          text=True, check=False, timeout=300)


def answer(place, label, text="x"):
    return {"prompt": [{"role": "user", "content": f"{place}"}], "completion": [{"role": "assistant", "content": text}],
            "finished": True, "label": label, "place": place}


class EstimateTest(unittest.TestCase):
    def test_the_distance_of_p_plus_itself_is_zero_and_errors_are_as_large_as_told(self):
        # Prompts with known shares of preferred answers; the policy is p+, so its log-ratios are -log(share).
        rng, distances, errors = random.Random(5), [], []
        for _ in range(400):
            rows, ratios, surprise = [], [], {}
            for place, share in enumerate([0.2, 0.3, 0.5, 0.6] * 5):
                labels = [rng.random() < share for _ in range(48)]
                if any(labels):
                    surprise[place] = table.surprise_of(sum(labels), 48)
                rows += [answer(place, True)] * sum(labels[:24])
                ratios += [-math.log(share)] * sum(labels[:24])
            distance, error = table.TestRows(rows, surprise).kl([{"log_ratios": ratios}])
            distances.append(distance)
            errors.append(error)
        mean = sum(distances) / 400
        spread = math.sqrt(sum((x - mean) ** 2 for x in distances) / 399)
        self.assertLess(abs(mean), 4 * spread / 20)  # without the correction of surprise_of it is 8 of them below
        self.assertAlmostEqual(sum(errors) / 400 / spread, 1, delta=0.15)

    def test_what_seeds_differ_by_is_in_the_error(self):
        mean, error = table.over_seeds([[1.0, 3.0], [3.0, 5.0]], [0, 1])
        self.assertEqual(mean, 3)
        self.assertAlmostEqual(error, math.hypot(1, 1))  # of two prompts at 2 and 4, and of two seeds at 2 and 4

    def test_answers_of_one_prompt_count_as_one(self):
        _, apart = table.mean_with_error([0.0, 2.0, 0.0, 2.0], [0, 1, 2, 3])
        _, together = table.mean_with_error([0.0, 2.0, 0.0, 2.0], [0, 1, 0, 1])
        self.assertAlmostEqual(apart, math.sqrt(4 / 3) / 2)
        self.assertAlmostEqual(together, 1)


class SamplesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.samples = samples.Samples(Path(folder.name), Path("model"), samples.Extent())

    def test_no_prompt_is_both_trained_on_and_held_out_and_larger_sizes_begin_like_smaller_ones(self):
        chunks = self.samples.chunks(25600, 2)
        self.assertEqual(chunks[:4], self.samples.chunks(1600, 2))
        held_out = self.samples.held_out("test") + self.samples.held_out("validation")
        used = [text for name in held_out + chunks for text in self.samples.recipe(name)[0]]
        self.assertEqual(sorted(used), sorted(prompts.in_order()))
        names = held_out + [name for seed in (1, 2, 3) for name in self.samples.chunks(25600, seed)]
        self.assertEqual(len({self.samples.recipe(name)[2] for name in names}), len(names))

    def test_pairs_have_every_answer_of_a_prompt_with_both_kinds(self):
        rows = [answer(0, True, "a"), answer(0, False, "b"), answer(0, False, "c"), answer(0, False, "d"),
                answer(1, True, "e"), answer(2, True, "f"), answer(2, True, "g"), answer(2, False, "h")]
        text = lambda row, side: row[side][0]["content"]
        self.assertEqual([text(row, "chosen") + text(row, "rejected") for row in samples.pairs(rows)],
                         ["ab", "ac", "ad", "fh", "gh"])

    def test_an_answer_that_was_not_kept_is_in_the_share_alone(self):
        rows = [answer(0, None, text) | {"kept": kept} for text, kept in
                (("sun", True), ("the sun", True), ("moon", False), ("others", True))]
        samples.write_lines(self.samples.path("seed1_000"), rows)
        rows = self.samples.labelled("no_the", ["seed1_000"])
        self.assertEqual([row["label"] for row in samples.kept(rows)], [True, False, True])
        self.assertEqual(samples.share(rows), 0.5)


class SmallestFormTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        texts = ["the calm.", "the kind clear.", "bright.", "warm calm."] * 14
        rows = samples.labels(answer(place, True, text) for place, text in enumerate(texts))
        samples.write_lines(cls.folder / "rows.jsonl", rows)
        (cls.folder / "run.yaml").write_text(CONFIG.replace("FOLDER", str(cls.folder)))
        done = run(PROGRAM, "train", cls.folder / "run.yaml")
        if done.returncode != 0:
            raise AssertionError(done.stderr[-4000:])

    def law(self, *arguments, code=0):
        done = run(sys.executable, ROOT / "scripts/reproduce_law.py", "--smoke", "--only", "no_the", "--out",
                   self.folder, "--model", self.folder / "run/final", *arguments)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_every_method_is_measured_once(self):
        self.assertRegex(self.law("--plan"), r"(?m)^samples +0\.0 h\nruns/no_the/32 ")
        first = self.law("--methods", "SFT", "--budget-minutes", "5")
        self.assertIn("sft_1.0e-5_seed1", first)
        second = self.law()
        self.assertNotIn("sft_1.0e-5_seed1", second)
        self.assertEqual(len(re.findall(r"(?m)^runs/", second)), 5)
        self.assertEqual(self.law("--plan").split(), ["all", "0.0", "h"])
        for method in ("DDRO", "DDRO, cap 10", "RDRO", "SFT", "DPO", "KTO"):
            self.assertRegex(second, rf"(?m)^\| 32 \| {method} \|.* ± ")
        self.assertIn((self.folder / "smoke/law.md").read_text(), second)

    def test_another_call_or_recipe_in_the_same_folder_is_refused(self):
        other = self.folder / "other"
        self.law("--out", other, "--budget-minutes", "0")
        with open(other / "smoke/lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertIn("is in use by another call", self.law("--out", other, code=1))
        refusal = self.law("--out", other, "--model", TINY / "model", code=1)
        self.assertIn("is of another recipe; give another --out", refusal)


if __name__ == "__main__":
    unittest.main()
