"""The reference's answers: what is sampled, by which seeds, and what a rule makes of it."""
import dataclasses
import itertools
import random
import re
import statistics

from law import prompts
from law.program import generate, read_lines, score, text_of, write_lines

RULES = {
    "brief": ("at most 16 words", lambda text: len(text.split()) <= 16),
    "no_the": ('without the word "the"', lambda text: not re.search(r"\bthe\b", text.lower())),
}


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
    rates: int = 3  # learning rates tried; 1: the middle one

    @property
    def chunk_rows(self):
        return self.chunk_prompts * self.chunk_samples


QUICK = Extent(validation_samples=4, test_samples=12, scored_samples=6, scored_unpreferred=2, answers=1, rates=1)
SMOKE = Extent(chunk_prompts=8, chunk_samples=4, held_out_prompts=8, validation_samples=4, test_samples=8,
               scored_samples=4, answers=1, rates=1)


class Samples:
    """The files of out/samples, a chunk of prompts each: test_000, validation_000, seed1_000 and so on. What one size
    trains on is the beginning of what a larger one trains on."""

    def __init__(self, out, model, extent):
        self.folder, self.scratch, self.model, self.extent = out / "samples", out / "scratch", model, extent
        for folder in (self.folder, self.scratch):
            folder.mkdir(parents=True, exist_ok=True)

    def path(self, name):
        return self.folder / f"{name}.jsonl"

    def chunks(self, size, seed):
        return [f"seed{seed}_{chunk:03d}" for chunk in range(size // self.extent.chunk_rows)]

    def held_out(self, name):
        return [f"{name}_{chunk:03d}" for chunk in range(self.extent.held_out_prompts // self.extent.held_out_chunk)]

    def test_prompts(self):
        return prompts.in_order()[:self.extent.held_out_prompts]

    def recipe(self, name):
        """Prompts, samples to each, seed of the sampling."""
        everything, count, extent = prompts.in_order(), self.extent.held_out_prompts, self.extent
        part, chunk = name.split("_")
        if part == "test":
            order, size, samples, seed = everything[:count], extent.held_out_chunk, extent.test_samples, 0
        elif part == "validation":
            order, size, samples, seed = everything[count:2 * count], extent.held_out_chunk, extent.validation_samples, 1
        else:
            seed = int(part.removeprefix("seed"))
            order = random.Random(seed).sample(everything[2 * count:], len(everything) - 2 * count)
            size, samples, seed = extent.chunk_prompts, extent.chunk_samples, seed + 1
        begin = int(chunk) * size
        return order[begin:begin + size], samples, 1000 * seed + int(chunk)

    def make(self, name):
        """`kept` are the answers whose text encodes to the very tokens that were sampled: of the others a policy would
        be trained on, and scored by, another sequence than the reference drew."""
        rows = generate(self.model, *self.recipe(name), self.scratch)
        scored = [row for row in rows if text_of(row).strip()]  # an answer without text has no completion to score
        for row, logp in zip(scored, score(self.model, scored, self.scratch), strict=True):
            row["kept"] = abs(logp - row["logp"]) < 0.01
        write_lines(self.path(name), [{"kept": False} | row for row in rows])

    def labelled(self, rule, names):
        """All samples, with label, place of their prompt and number within it."""
        holds = RULES[rule][1]
        rows = [row for name in names for row in read_lines(self.path(name))]
        seen = {}  # prompt -> its place, samples of it so far
        for row in rows:
            at = seen.setdefault(row["prompt"][-1]["content"], [len(seen), 0])
            row["label"], (row["place"], row["number"]) = row["kept"] and holds(text_of(row)), at
            at[1] += 1
        return rows


def kept(rows):
    return [row for row in rows if row["kept"]]


def share(rows):
    """Of preferred answers among all samples; those not kept are neither, but part of the reference."""
    return statistics.mean(row["label"] for row in rows)


def labels(rows):
    return [{key: row[key] for key in ("prompt", "completion", "finished", "label")} for row in rows]


def pairs(rows):
    """Answers of one prompt, a preferred one with another: each occurs, those of the scarcer kind several times."""
    by_prompt = {}
    for row in rows:
        by_prompt.setdefault(row["place"], ([], []))[not row["label"]].append(row)
    return [{"prompt": chosen["prompt"], "chosen": chosen["completion"], "rejected": rejected["completion"],
             "chosen_finished": chosen["finished"], "rejected_finished": rejected["finished"]}
            for sides in by_prompt.values() if all(sides)
            for chosen, rejected in itertools.islice(zip(*map(itertools.cycle, sides)), max(map(len, sides)))]
