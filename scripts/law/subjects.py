"""The models that the law is measured on: prompts, rules, how many samples, and how they are trained."""
import dataclasses
import random
import re
from typing import Callable

from law import prompts, small
from law.program import ROOT


@dataclasses.dataclass(frozen=True)
class Rule:
    """Who prefers an answer: `chance` is the probability of it, by the text alone."""
    title: str
    chance: Callable


def count_the(text):
    return len(re.findall(r"\bthe\b", text.lower()))


def at_most(words):
    return Rule(f"at most {words} words", lambda text: float(len(text.split()) <= words))


# Both classes have answers of each kind: p+ and p- overlap, as no rule without chance makes them.
GRADED = Rule('a judge who likes the word "the": prefers 0.1 of answers without it, 0.5 with one, 0.9 with more',
              lambda text: (0.1, 0.5, 0.9)[min(count_the(text), 2)])


@dataclasses.dataclass(frozen=True)
class Extent:
    """How many prompts, and samples to each."""
    chunk_prompts: int = 50
    chunk_samples: int = 8
    held_out_prompts: int = 64  # of each held-out set,
    held_out_chunk: int = 8  # sampled so many at a time
    validation_samples: int = 8
    test_samples: int = 48  # they give the prompt's share of preferred answers;
    scored_samples: int = 24  # the first ones give log-ratios of preferred answers,
    scored_unpreferred: int = 4  # and so many those of the others
    answers: int = 2  # of a policy to each test prompt
    searches_rates: bool = True  # False: the middle one

    @property
    def chunk_rows(self):
        return self.chunk_prompts * self.chunk_samples


@dataclasses.dataclass(frozen=True)
class Subject:
    model: object  # folder, or None: made from nothing
    rules: dict
    prompts: Callable  # part -> prompts in the order in which chunks take them, again from the start at their end
    extents: dict  # "full", "quick", "smoke"
    max_new_tokens: int
    rate: float  # learning rate of likelihood losses in the middle of those tried
    epochs: Callable  # number of samples -> how many at most; the best one by held-out loss is measured
    batch: Callable  # number of samples -> rows a step
    workers: int  # steps at a time
    quick_methods: tuple
    seconds: dict  # for a plan, on two cores of 3 GHz: a row sampled, a completion trained on, a run's start and measurement


def apart(part):
    """No prompt is both trained on and held out."""
    everything, count = prompts.in_order(), Extent().held_out_prompts
    if part in ("test", "validation"):
        return everything[:count] if part == "test" else everything[count:2 * count]
    return random.Random(int(part.removeprefix("seed"))).sample(everything[2 * count:], len(everything) - 2 * count)


SMOKE = Extent(chunk_prompts=8, chunk_samples=4, held_out_prompts=8, validation_samples=4, test_samples=8,
               scored_samples=4, answers=1, searches_rates=False)
SMALL = Extent(held_out_prompts=small.TOPICS, held_out_chunk=small.TOPICS, validation_samples=32, test_samples=256,
               scored_samples=256, scored_unpreferred=16, answers=20)

SUBJECTS = {
    "small": Subject(
        model=None, rules={"brief": at_most(9), "the": GRADED}, prompts=lambda part: small.topics(),
        extents={"full": SMALL, "quick": SMALL, "smoke": SMOKE}, max_new_tokens=32, rate=3e-4,
        epochs=lambda size: {400: 16, 1600: 16, 6400: 8}.get(size, 4), batch=lambda size: 32 if size < 6400 else 128,
        workers=2, quick_methods=(),
        seconds={"sample": 0.0003, "train": 0.0004, "measure": 4}),
    "smollm2": Subject(
        model=ROOT / "models/SmolLM2-135M-Instruct",
        rules={"brief": at_most(16), "no_the": Rule('without the word "the"', lambda text: float(not count_the(text)))},
        prompts=apart, extents={
            "full": Extent(), "smoke": SMOKE,
            "quick": Extent(validation_samples=4, test_samples=12, scored_samples=6, scored_unpreferred=2, answers=1,
                            searches_rates=False)},
        max_new_tokens=48, rate=1e-5, epochs=lambda size: 3, batch=lambda size: 32, workers=1,
        quick_methods=("DDRO", "SFT", "DPO"),
        seconds={"sample": 0.1, "train": 0.07, "measure": 60}),
}
