"""The experiment behind docs/consistency.md runs and comes out where theory has it, in its smallest form.

    .venv/bin/python tests/scripts/consistency_test.py
"""

import subprocess
import sys
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import reproduce_consistency as experiment  # noqa: E402


class ConsistencyTest(unittest.TestCase):
    def test_the_reference_holds_its_distribution_exactly(self):
        reference = experiment.draw_distribution(np.random.default_rng(3))
        weights = experiment.reference_weights(reference)
        size = len(experiment.VOCAB)

        def next_log_probs(text):
            embedding = weights["model.embed_tokens.weight"][[experiment.VOCAB.index(c) for c in text]]
            mean = experiment.normalised(embedding).mean(0)
            state = embedding[-1] + weights["model.layers.0.self_attn.o_proj.weight"] @ mean
            logits = weights["lm_head.weight"] @ experiment.normalised(state)
            return logits - np.log(np.exp(logits).sum())

        first = next_log_probs(experiment.PROMPT)
        joint = [first[i] + next_log_probs(experiment.PROMPT + experiment.VOCAB[i])[j]
                 for i in range(size) for j in range(size)]
        np.testing.assert_allclose(joint, np.log(reference), atol=1e-9)

    def test_every_method_in_its_smallest_form(self):
        script = ROOT / "scripts/reproduce_consistency.py"
        done = subprocess.run([sys.executable, script, "--smoke", "--workers", "2"], text=True, capture_output=True,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
