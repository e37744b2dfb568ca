"""The reference's answers: what is sampled, by which seeds, and what a rule makes of it."""
import itertools
import random
import statistics

from law.program import generate, read_lines, score, text_of, write_lines


class Samples:
    """The files of out/samples, a chunk of prompts each: test_000, validation_000, seed1_000 and so on. What one size
    trains on is the beginning of what a larger one trains on."""

    def __init__(self, out, model, subject, extent):
        self.folder, self.model, self.subject, self.extent = out / "samples", model, subject, extent
        self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, name):
        return self.folder / f"{name}.jsonl"

    def chunks(self, size, seed):
        return [f"seed{seed}_{chunk:03d}" for chunk in range(size // self.extent.chunk_rows)]

    def held_out(self, name):
        return [f"{name}_{chunk:03d}" for chunk in range(self.extent.held_out_prompts // self.extent.held_out_chunk)]

    def test_prompts(self):
        return self.subject.prompts("test")[:self.extent.held_out_prompts]

    def recipe(self, name):
        """Prompts, samples to each, seed of the sampling."""
        extent, (part, chunk) = self.extent, name.split("_")
        if part in ("test", "validation"):
            size, seed = extent.held_out_chunk, ("test", "validation").index(part)
            samples = extent.test_samples if part == "test" else extent.validation_samples
        else:
            size, seed, samples = extent.chunk_prompts, int(part.removeprefix("seed")) + 1, extent.chunk_samples
        order, begin = self.subject.prompts(part), int(chunk) * size
        return [order[place % len(order)] for place in range(begin, begin + size)], samples, 1000 * seed + int(chunk)

    def generate(self, model, prompts, count, seed):
        return generate(model, prompts, count, seed, self.subject.max_new_tokens)

    def make(self, name):
        """`kept` are the answers whose text encodes to the very tokens that were sampled: of the others a policy would
        be trained on, and scored by, another sequence than the reference drew."""
        rows = self.generate(self.model, *self.recipe(name))
        scored = [row for row in rows if text_of(row).strip()]  # an answer without text has no completion to score
        for row, logp in zip(scored, score(self.model, scored), strict=True):
            row["kept"] = abs(logp - row["logp"]) < 0.01
        write_lines(self.path(name), [{"kept": False} | row for row in rows])

    def labelled(self, rule, names):
        """All samples, with the chance to be preferred, the label drawn, place of their prompt and number within it."""
        chance, rows, seen = self.subject.rules[rule].chance, [], {}  # prompt -> its place, samples of it so far
        for name in names:
            draw = random.Random(f"{rule} {name}")
            for row in read_lines(self.path(name)):
                at = seen.setdefault(row["prompt"][-1]["content"], [len(seen), 0])
                row["chance"] = chance(text_of(row)) if row["kept"] else 0.0
                row["label"], (row["place"], row["number"]) = draw.random() < row["chance"], at
                at[1] += 1
                rows.append(row)
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
