"""The model of time of benchmarks/scaling.py, in cases that can be worked out by hand.

    .venv/bin/python tests/scripts/scaling_test.py
"""

import sys
import unittest
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import scaling  # noqa: E402
from scaling import Job, Model, Network, Work, step_seconds  # noqa: E402

# Units of 8, 4, 4 and 8 numbers: the layer's is 2 * 1 * (1 + 0 + 1) = 4, the head's 8 * 1.
MODEL = Model("tiny", layers=2, width=1, inner=0, keys=0, vocabulary=8, tied=False)
WORK = Work(forward=1, backward=2, head=3, update=5)
# Two ranks: half of a number's 4 bytes go, at 2 bytes a second: a number takes a second.
NETWORK = Network(bandwidth=2, latency=0, batch=1000)
ONE = 2 * (1 + 2) + 3


def seconds(shard, network=NETWORK, model=MODEL, micro_batches=1, work=WORK, ranks=2):
    return step_seconds(work, model, network, Job(ranks, shard, micro_batches, weight_bytes=4))


class StepTest(unittest.TestCase):
    def test_models_have_the_numbers_that_their_names_say(self):
        self.assertEqual(MODEL.units, [8, 4, 4, 8])
        self.assertEqual([round(model.numbers / 1e9, 2) for model in
                          (scaling.LLAMA_1B, scaling.LLAMA_8B, scaling.LLAMA_70B)], [1.24, 8.03, 70.55])

    def test_one_rank_sends_nothing(self):
        self.assertEqual(seconds("optimizer", ranks=1, micro_batches=3), 3 * ONE + 5)

    def test_a_network_that_takes_no_time_costs_nothing(self):
        fast = Network(bandwidth=1e30, latency=0, batch=3)
        for shard in scaling.SHARDS:
            for model in (MODEL, replace(MODEL, tied=True)):
                self.assertAlmostEqual(seconds(shard, fast, model, micro_batches=2), 2 * ONE + 5)

    def test_gradients_travel_while_the_layers_below_compute(self):
        # The head's are ready at 2 + 3 and take 8 s, behind which 4, 4 and 8 wait; then the update and all weights.
        self.assertEqual(seconds("optimizer"), 5 + 24 + 5 + 24)
        # A layer of 100 s hides all but the embedding's 8 s and what the last layer leaves; micro-batches before hide none.
        slow = replace(WORK, backward=100)
        self.assertEqual(seconds("optimizer", work=slow, micro_batches=2), 2 * (2 + 3 + 200) + 4 + 8 + 5 + 24)
        # All get the sums: twice the bytes, and no weights.
        self.assertEqual(seconds("none"), 5 + 2 * 24 + 5)

    def test_who_is_four_batches_ahead_waits(self):
        # Batches of one second. The head's travel from 5 to 13 s; the fifth has come, at 10, before the next layer begins,
        # the first of that layer's four, at 21, before the one below. The embedding's end at 43 s.
        network = replace(NETWORK, batch=1)
        self.assertEqual(seconds("optimizer", network, work=replace(WORK, backward=10)), 43 + 5 + 24)

    def test_full_gathers_one_unit_while_the_one_before_computes(self):
        # Only the embedding and the first layer are waited for, where layers and head compute for longer than anything
        # travels.
        slow = Work(forward=100, backward=100, head=100, update=0)
        # Behind the last backward come the sums of the lowest layer, 4, and of the embedding, 8.
        self.assertEqual(seconds("full", work=slow), 8 + 4 + 200 + 100 + 200 + 4 + 8)
        self.assertEqual(seconds("full", work=slow, micro_batches=3), 3 * (12 + 500 + 12))

    def test_what_shares_cores_does_not_overlap(self):
        busy = replace(NETWORK, overlaps=False, latency=0.5, adding=0.25)
        # 24 numbers of 2 bytes that are added up, 24 that are gathered; four messages and one.
        self.assertEqual(seconds("optimizer", busy), ONE + 5 + 24 * (1 + 2 * 0.25) + 4 * 0.5 + 24 + 0.5)


class PredictionTest(unittest.TestCase):
    def test_what_fits_follows_the_table_of_parts(self):
        def fits(model, shard, ranks):
            return scaling.memory(model, shard, ranks) <= scaling.H200.memory
        self.assertFalse(fits(scaling.LLAMA_8B, "none", 8))
        self.assertTrue(fits(scaling.LLAMA_8B, "optimizer", 8))
        self.assertFalse(fits(scaling.LLAMA_70B, "full", 8))
        self.assertTrue(fits(scaling.LLAMA_70B, "full", 64))

    def test_slower_networks_scale_worse(self):
        for shard in scaling.SHARDS:
            shares = [scaling.efficiency(scaling.LLAMA_8B, shard, fabric, 8192)[0] for fabric in scaling.FABRICS]
            self.assertEqual(shares, sorted(shares, reverse=True))
            self.assertTrue(all(0 < share < 1 for share in shares))


if __name__ == "__main__":
    unittest.main()
