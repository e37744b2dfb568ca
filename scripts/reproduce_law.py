"""The law on a language model: distance from the preferred distribution against the number of samples.

Rows are the reference model's own answers, labelled by a rule that looks at the text alone. So the preferred
distribution p+ of a prompt is the reference given that the rule holds, log p+ = log reference - log(the prompt's share
of such answers), and KL(p+, policy) is the mean of -log(share) less that of the policy's log-ratio, over samples of p+.

A step of work is a chunk of samples, or a training with its measurement. Its result is a file in --out and is never
made again; a training that was interrupted goes on from its checkpoint.
"""
import argparse
import collections
import dataclasses
import fcntl
import itertools
import json
import sys
import time
from pathlib import Path

from law import table
from law.program import ROOT
from law.runs import EPOCHS, METHODS, Run, Runs
from law.samples import QUICK, RULES, SMOKE, Extent, Samples

SIZES = (400, 1600, 6400, 25600)
SEEDS = (1, 2, 3)  # of the training prompts, their samples and the order of training; the first one chooses the rates

# Seconds on two cores of 3 GHz, for a plan: a row sampled, a completion trained on, a run's start and measurement.
SECONDS = {"sample": 0.1, "train": 0.07, "measure": 60}

Step = collections.namedtuple("Step", "name seconds make")


class Law:
    def __init__(self, choice):
        self.choice, self.out = choice, choice.out
        self.samples = Samples(choice.out, choice.model, choice.extent)
        self.runs = Runs(choice.out, self.samples)

    def own_folder(self):
        """Two calls at a time would make the same step; results of two recipes would be taken for those of one."""
        self.lock = open(self.out / "lock", "w", encoding="utf-8")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(f"reproduce_law: {self.out} is in use by another call")
        recipe = {"model": self.choice.model.resolve().name, "epochs": EPOCHS} | dataclasses.asdict(self.choice.extent)
        path = self.out / "recipe.json"
        if not path.is_file():
            path.write_text(json.dumps(recipe, indent=1))
        elif json.loads(path.read_text()) != recipe:
            sys.exit(f"reproduce_law: {path} is of another recipe; give another --out")

    def steps(self):
        """What is yet to be made, smaller sizes first; to be read one by one, as results choose what follows. The rate
        of a further seed is None as long as the first one has not chosen it."""
        for name in ("validation", "test"):
            yield from map(self.sampling, filter(self.lacks, self.samples.held_out(name)))
        for size, seed in itertools.product(self.choice.sizes, self.choice.seeds):
            yield from map(self.sampling, filter(self.lacks, self.samples.chunks(size, seed)))
            for rule, method in itertools.product(self.choice.only, self.choice.methods):
                first = seed == SEEDS[0]
                for rate in self.runs.rates(method) if first else [self.chosen_rate(rule, size, method)]:
                    run = Run(rule, size, method, rate, seed)
                    if not self.runs.result(run):
                        yield self.training(run)

    def lacks(self, name):
        return not self.samples.path(name).is_file()

    def chosen_rate(self, rule, size, method):
        return self.runs.chosen_rate(rule, size, method, SEEDS[0])

    def sampling(self, name):
        prompts, count, _ = self.samples.recipe(name)
        return Step(name, len(prompts) * count * SECONDS["sample"], lambda: self.samples.make(name))

    def training(self, run):
        seconds = EPOCHS * run.completions() * SECONDS["train"] + SECONDS["measure"]
        make = (lambda: self.runs.make(run)) if run.rate else None
        return Step(str(run.folder(Path())), seconds, make)

    def make(self):
        end = time.monotonic() + 60 * self.choice.budget_minutes
        while (step := next(self.steps(), None)) and time.monotonic() < end:
            if not step.make:
                sys.exit(f"reproduce_law: {step.name}: seed {SEEDS[0]} chooses its learning rate and has not yet")
            begin = time.monotonic()
            step.make()
            print(f"{step.name}: {time.monotonic() - begin:.0f} s", flush=True)

    def plan(self):
        seconds = collections.Counter()
        for step in self.steps():
            kind = "samples" if "/" not in step.name else "/".join(step.name.split("/")[:3])
            seconds[kind] += step.seconds
        for kind, value in seconds.items():
            print(f"{kind:<24} {value / 3600:8.1f} h")
        print(f"{'all':<24} {seconds.total() / 3600:8.1f} h")

    def results(self, rule, size):
        """method -> (rate, results of the seeds that are there, in their order)"""
        found = {}
        for method in self.choice.methods:
            rate = self.chosen_rate(rule, size, method)
            seeds = self.choice.seeds if rate else []
            results = (self.runs.result(Run(rule, size, method, rate, seed)) for seed in seeds)
            found[method] = rate, list(itertools.takewhile(bool, results))
        return {method: pair for method, pair in found.items() if pair[1]}

    def report(self):
        """Prints the tables of what is measured, and writes them with the plot into the folder."""
        curves, text = {}, ""
        for rule in self.choice.only:
            preferred, _, surprise = self.runs.test_rows(rule)
            test, lines, curve = table.TestRows(preferred, surprise), [], collections.defaultdict(list)
            for size in self.choice.sizes:
                results = self.results(rule, size)
                for method, (rate, found) in results.items():
                    lines.append(table.line_of(size, method, rate, found, results.get("SFT", (None, []))[1], test))
                    curve[method].append((size, *test.kl(found)))
            title = RULES[rule][0]
            before = table.plus_minus(test.kl_before())
            text += f"## Rule: {title}\n\nKL(p+, reference): {before}.\n\n{table.table(lines)}\n\n"
            curves |= {title: curve} if curve else {}
        (self.out / "law.md").write_text(text, encoding="utf-8")
        print(text, end="")
        if curves and not self.choice.smoke:
            table.write_plot(curves, self.out / "law.svg")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "runs/law")
    parser.add_argument("--model", type=Path, default=ROOT / "models/SmolLM2-135M-Instruct")
    parser.add_argument("--only", nargs="+", choices=RULES, default=list(RULES))
    parser.add_argument("--sizes", nargs="+", type=int, choices=SIZES, default=list(SIZES))
    parser.add_argument("--methods", nargs="+", choices=METHODS)
    parser.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=list(SEEDS))
    parser.add_argument("--budget-minutes", type=float, default=float("inf"))
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--smoke", action="store_true")
    choice = parser.parse_args()
    choice.methods = choice.methods or (["DDRO", "SFT", "DPO"] if choice.quick else list(METHODS))
    choice.extent = Extent()
    if choice.quick or choice.smoke:
        choice.extent = QUICK if choice.quick else SMOKE
        choice.only, choice.sizes, choice.seeds = choice.only[:1], [choice.extent.chunk_rows], SEEDS[:1]
        choice.out = choice.out / ("quick" if choice.quick else "smoke")
    return choice


def main():
    law = Law(parse_arguments())
    if law.choice.plan:
        return law.plan()
    law.own_folder()
    if not law.choice.report:
        law.make()
    if not any(map(law.lacks, law.samples.held_out("test"))):
        law.report()


if __name__ == "__main__":
    main()
