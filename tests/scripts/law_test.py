"""The experiment of scripts/reproduce_law: its estimates come out where they must, and in its smallest form every step
runs once and is not made again.

    .venv/bin/python tests/scripts/law_test.py
"""

import fcntl
import json
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

from law import prompts, runs, samples, small, subjects, table  # noqa: E402
from law.program import write_lines  # noqa: E402

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
            rows, ratios = [], []
            for place, share in enumerate([0.2, 0.3, 0.5, 0.6] * 5):
                labels = [rng.random() < share for _ in range(48)]
                if any(labels):
                    surprise = table.surprise_of([float(label) for label in labels])
                    rows += [{"place": place, "surprise": surprise}] * sum(labels[:24])
                ratios += [-math.log(share)] * sum(labels[:24])
            distance, error = table.TestRows(rows).kl([{"log_ratios": ratios}])
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
        self.folder = Path(folder.name)
        self.samples = self.of("smollm2")

    def of(self, name):
        subject = subjects.SUBJECTS[name]
        return samples.Samples(self.folder, Path("model"), subject, subject.extents["full"])

    def test_no_prompt_is_both_trained_on_and_held_out_and_larger_sizes_begin_like_smaller_ones(self):
        chunks = self.samples.chunks(25600, 2)
        self.assertEqual(chunks[:4], self.samples.chunks(1600, 2))
        held_out = self.samples.held_out("test") + self.samples.held_out("validation")
        used = [text for name in held_out + chunks for text in self.samples.recipe(name)[0]]
        self.assertEqual(sorted(used), sorted(prompts.in_order()))

    def test_no_two_chunks_have_the_same_seed(self):
        for name in subjects.SUBJECTS:
            of = self.of(name)
            names = of.held_out("test") + of.held_out("validation")
            names += [name for seed in (1, 2, 3) for name in of.chunks(25600, seed)]
            self.assertEqual(len({of.recipe(name)[2] for name in names}), len(names))

    def test_every_prompt_of_the_small_subject_is_in_every_chunk(self):
        of = self.of("small")
        for name in ["test_000", "validation_000", "seed3_063"]:
            self.assertEqual(sorted(of.recipe(name)[0]), sorted(small.topics()))

    def test_labels_are_drawn_once_with_the_chance_of_their_text(self):
        of = self.of("small")
        texts = ["sun", "the sun", "the sun of the day"] * 2000
        write_lines(of.path("seed1_000"), [answer(0, None, text) | {"kept": True} for text in texts])
        rows = of.labelled("the", ["seed1_000"])
        self.assertEqual(rows, of.labelled("the", ["seed1_000"]))
        for number, chance in enumerate((0.1, 0.5, 0.9)):
            self.assertAlmostEqual(samples.share(rows[number::3]), chance, delta=4 * 0.5 / math.sqrt(2000))

    def test_p_plus_is_the_reference_times_the_chance(self):
        of = self.of("small")
        texts = ["sun"] * 60 + ["the sun"] * 40
        write_lines(of.path("test_000"), [answer(0, None, text) | {"kept": True} for text in texts])
        preferred, others, shares = runs.Runs(self.folder, of).test_rows("the")
        self.assertAlmostEqual(shares[0], 0.26)
        self.assertEqual(len(preferred) + sum(row["number"] >= of.extent.scored_unpreferred for row in
                                              of.labelled("the", ["test_000"]) if not row["label"]) + len(others), 100)
        for row in preferred:
            truth = math.log((0.5 if row["chance"] == 0.5 else 0.1) / 0.26)
            self.assertAlmostEqual(row["surprise"], truth, delta=0.01)

    def test_pairs_have_every_answer_of_a_prompt_with_both_kinds(self):
        rows = [answer(0, True, "a"), answer(0, False, "b"), answer(0, False, "c"), answer(0, False, "d"),
                answer(1, True, "e"), answer(2, True, "f"), answer(2, True, "g"), answer(2, False, "h")]
        text = lambda row, side: row[side][0]["content"]
        self.assertEqual([text(row, "chosen") + text(row, "rejected") for row in samples.pairs(rows)],
                         ["ab", "ac", "ad", "fh", "gh"])

    def test_an_answer_that_was_not_kept_is_in_the_share_alone(self):
        rows = [answer(0, None, text) | {"kept": kept} for text, kept in
                (("sun", True), ("the sun", True), ("moon", False), ("others", True))]
        write_lines(self.samples.path("seed1_000"), rows)
        rows = self.samples.labelled("no_the", ["seed1_000"])
        self.assertEqual([row["label"] for row in samples.kept(rows)], [True, False, True])
        self.assertEqual(samples.share(rows), 0.5)


class RatesTest(unittest.TestCase):
    def test_rates_are_tried_until_the_best_is_between_two_others(self):
        with tempfile.TemporaryDirectory() as folder:
            subject = subjects.SUBJECTS["small"]
            of = runs.Runs(Path(folder), samples.Samples(Path(folder), Path("model"), subject, subject.extents["full"]))
            tried = []
            while not (chosen := of.chosen_rate("the", 400, "SFT", 1)):
                rate = next(rate for rate in of.rates("the", 400, "SFT", 1) if rate not in tried)
                tried.append(rate)
                path = runs.Run("the", 400, "SFT", rate, 1).folder(Path(folder))
                path.mkdir(parents=True)
                write_lines(path / "result.json", [{"validation": -abs(math.log(float(rate) / 1e-4))}])
            self.assertEqual(tried, ["1.0e-4", "3.0e-4", "1.0e-3", "3.0e-5"])
            self.assertEqual(chosen, "1.0e-4")


class SmallModelTest(unittest.TestCase):
    def test_every_answer_encodes_to_the_tokens_that_were_sampled(self):
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "smoke/model"
            model.parent.mkdir()
            small.make(model, epochs=1)
            done = run(sys.executable, ROOT / "scripts/reproduce_law.py", "--subject", "small", "--smoke", "--methods",
                       "SFT", "--out", folder)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertRegex(done.stdout, r"(?m)^\| SFT \| [^|]* ± ")
            with open(Path(folder) / "smoke/samples/seed1_000.jsonl", encoding="utf-8") as lines:
                rows = [json.loads(line) for line in lines]
        self.assertEqual([row for row in rows if not row["kept"] and row["completion"][0]["content"].strip()], [])
        self.assertEqual({row["prompt"][0]["content"] for row in rows}, set(small.topics()[:8]))


class SmallestFormTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        texts = ["the calm.", "the kind clear.", "bright.", "warm calm."] * 14
        rows = samples.labels(answer(place, True, text) for place, text in enumerate(texts))
        write_lines(cls.folder / "rows.jsonl", rows)
        (cls.folder / "run.yaml").write_text(CONFIG.replace("FOLDER", str(cls.folder)))
        done = run(PROGRAM, "train", cls.folder / "run.yaml")
        if done.returncode != 0:
            raise AssertionError(done.stderr[-4000:])

    def law(self, *arguments, code=0):
        done = run(sys.executable, ROOT / "scripts/reproduce_law.py", "--subject", "smollm2", "--smoke", "--only",
                   "no_the", "--out", self.folder, "--model", self.folder / "run/final", *arguments)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_every_method_is_measured_once(self):
        self.assertRegex(self.law("--plan"), r"(?m)^samples +0\.0 h\nruns/no_the/32 ")
        first = self.law("--methods", "SFT", "--budget-minutes", "5")
        self.assertIn("sft_1.0e-5_seed1", first)
        second = self.law()
        self.assertNotIn("sft_1.0e-5_seed1", second)
        self.assertEqual(len(re.findall(r"(?m)^runs/", second)), 6)
        self.assertEqual(self.law("--plan").split(), ["all", "0.0", "h"])
        for method in ("DDRO", "DDRO, cap 10", "DDRO, ceiling", "RDRO", "SFT", "DPO", "KTO"):
            self.assertRegex(second, rf"(?m)^\| {method} \| [^|]* ± ")
            self.assertRegex((self.folder / "smoke/law.md").read_text(), rf"(?m)^\| 32 \| {method} \|.* ± ")

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
