"""scripts/evaluate_choices answers questions as lm-evaluation-harness does.

    .venv/bin/python tests/scripts/choices_test.py
"""

import gzip
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import evaluate_choices  # noqa: E402

TINY = Path(os.environ.get("DDRO_FIXTURES", ROOT / ".cache/fixtures")) / "tiny_run"
evaluate_choices.PROGRAM = Path(os.environ.get("DDRO_TRAIN", evaluate_choices.PROGRAM))

WORDS = "calm kind clear bright warm the sun of water rose".split()


def asked():
    """Endings of very different lengths, so that the two accuracies differ."""
    return [{"text": f"Number {number}: the {word}", "right": number % 4,
             "endings": [" ".join(WORDS[number % 7:][:count]) + f" {word}." for count in (1, 2, 4, 7)]}
            for number, word in enumerate(WORDS * 2)]


class ChoicesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_accuracies_and_log_probabilities_are_the_harness_s(self):
        self.assertLess(evaluate_choices.check(TINY / "model", asked(), self.folder / "check"), 1e-3)

    def test_a_wrong_answer_ends_the_check(self):
        questions, right_ones = asked(), evaluate_choices.right_ones
        evaluate_choices.right_ones = lambda *what: [[not value for value in part] for part in right_ones(*what)]
        self.addCleanup(setattr, evaluate_choices, "right_ones", right_ones)
        with self.assertRaisesRegex(SystemExit, "the harness has"):
            evaluate_choices.check(TINY / "model", questions[:7], self.folder / "check")

    def test_the_right_ending_is_the_likeliest_in_all_or_by_the_character(self):
        questions = [{"right": 1, "endings": ["ab", "abcdefgh"]}, {"right": 0, "endings": ["ab", "abcd"]}]
        plain, normed = evaluate_choices.right_ones(questions, [[-2.0, -4.0], [-1.0, -3.0]])
        self.assertEqual((plain, normed), ([False, True], [True, True]))

    def test_each_question_is_read_once(self):
        docs = [{"ind": number, "query": f"q{number}", "choices": ["a", "b"], "gold": 1} for number in (5, 9, 12)]
        with gzip.open(self.folder / "requests.jsonl.gz", "wt", encoding="utf-8") as file:
            for doc in docs:
                file.write((json.dumps({"doc": doc}) + "\n") * 4)
        read = evaluate_choices.questions(2, self.folder / "requests.jsonl.gz")
        self.assertEqual(read, [{"text": f"q{number}", "endings": ["a", "b"], "right": 1} for number in (5, 9)])
        self.assertEqual(len(evaluate_choices.questions(9, self.folder / "requests.jsonl.gz")), 3)


if __name__ == "__main__":
    unittest.main()
