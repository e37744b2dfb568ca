"""The law on a language model: distance from the preferred distribution against the number of samples.

Rows are the reference model's own answers, labelled by a rule that looks at the text alone: q is the probability that
it prefers an answer, 0 or 1 for most rules. So the preferred distribution p+ of a prompt is known, log p+ = log
reference + log q - log(the prompt's share of preferred answers), and KL(p+, policy) is the mean of log q - log(share)
less that of the policy's log-ratio, over samples of p+.

A step of work is a chunk of samples, or a training with its measurement. Its result is a file in --out and is never
made again; a training that was interrupted goes on from its checkpoint.
"""
import argparse
import collections
import concurrent.futures
import dataclasses
import fcntl
import itertools
import json
import os
import shutil
import statistics
import sys
import time
from pathlib import Path

from law import small, table
from law.program import ROOT, text_of
from law.runs import METHODS, Run, Runs
from law.samples import Samples, kept
from law.subjects import SUBJECTS

SIZES = (400, 1600, 6400, 25600)
SEEDS = (1, 2, 3)  # of the training prompts, their samples and the order of training; the first one chooses the rates

PAGE, PLOT = ROOT / "docs/consistency.md", ROOT / "docs/law.svg"
BEGIN, END = "<!-- written by scripts/reproduce_law: begin -->", "<!-- written by scripts/reproduce_law: end -->"

Step = collections.namedtuple("Step", "name seconds make")


class Law:
    def __init__(self, choice):
        self.choice, self.out, self.subject = choice, choice.out, SUBJECTS[choice.subject]
        self.model = choice.model or self.subject.model or choice.out / "model"
        self.samples = Samples(choice.out, self.model, self.subject, choice.extent)
        self.runs = Runs(choice.out, self.samples)

    def own_folder(self):
        """Two calls at a time would make the same step; results of two recipes would be taken for those of one."""
        self.lock = open(self.out / "lock", "w", encoding="utf-8")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(f"reproduce_law: {self.out} is in use by another call")
        recipe = {"subject": self.choice.subject, "model": self.model.resolve().name}
        recipe |= dataclasses.asdict(self.choice.extent)
        path = self.out / "recipe.json"
        if not path.is_file():
            path.write_text(json.dumps(recipe, indent=1))
        elif json.loads(path.read_text()) != recipe:
            sys.exit(f"reproduce_law: {path} is of another recipe; give another --out")

    def stages(self):
        """What is yet to be made, smaller sizes first, as lists of steps that do not need each other; to be read one by
        one, as results choose what follows. A step that needs a rate which is not chosen yet cannot be made."""
        if not self.model.is_dir():
            yield [Step("model", 60, lambda: small.make(self.model))]
        yield self.samplings(self.samples.held_out("validation") + self.samples.held_out("test"))
        for size, seed in itertools.product(self.choice.sizes, self.choice.seeds):
            yield self.samplings(self.samples.chunks(size, seed))
            rates = self.runs.rates if seed == SEEDS[0] else lambda *what: [self.runs.chosen_rate(*what)]
            runs = [Run(rule, size, method, rate, seed) for rule in self.choice.only for method in self.choice.methods
                    for rate in rates(rule, size, method, SEEDS[0])]
            yield [self.training(run) for run in runs if not self.runs.result(run)]

    def samplings(self, names):
        return [self.sampling(name) for name in names if self.lacks(name)]

    def lacks(self, name):
        return not self.samples.path(name).is_file()

    def sampling(self, name):
        prompts, count, _ = self.samples.recipe(name)
        return Step(name, len(prompts) * count * self.subject.seconds["sample"], lambda: self.samples.make(name))

    def training(self, run):
        seconds = self.subject.epochs(run.size) * run.completions() * self.subject.seconds["train"]
        make = (lambda: self.runs.make(run)) if run.rate else None
        return Step(str(run.folder(Path())), seconds + self.subject.seconds["measure"], make)

    def make(self):
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, os.cpu_count() // self.subject.workers)))
        end = time.monotonic() + 60 * self.choice.budget_minutes
        with concurrent.futures.ThreadPoolExecutor(self.subject.workers) as pool:
            while (stage := next(filter(None, self.stages()), None)) and time.monotonic() < end:
                if missing := next((step for step in stage if not step.make), None):
                    sys.exit(f"reproduce_law: {missing.name}: seed {SEEDS[0]} has not chosen its learning rate yet")
                list(pool.map(lambda step: self.make_step(step, end), stage))

    def make_step(self, step, end):
        begin = time.monotonic()
        if begin < end:
            step.make()
            print(f"{step.name}: {time.monotonic() - begin:.0f} s", flush=True)

    def plan(self):
        seconds = collections.Counter()
        for step in itertools.chain.from_iterable(self.stages()):
            kind = "samples" if "/" not in step.name else "/".join(step.name.split("/")[:3])
            seconds[kind] += step.seconds
        for kind, value in seconds.items():
            print(f"{kind:<24} {value / 3600:8.1f} h")
        print(f"{'all':<24} {seconds.total() / 3600:8.1f} h")

    def results(self, rule, size):
        """method -> (rate, results of the seeds that are there, in their order)"""
        found = {}
        for method in self.choice.methods:
            rate = self.runs.chosen_rate(rule, size, method, SEEDS[0])
            seeds = self.choice.seeds if rate else []
            results = (self.runs.result(Run(rule, size, method, rate, seed)) for seed in seeds)
            found[method] = rate, list(itertools.takewhile(bool, results))
        return {method: pair for method, pair in found.items() if pair[1]}

    def report(self):
        """Prints the tables of what is measured, and writes them with all that is known of them, and the plot, into the
        folder."""
        curves, short, long = {}, "", ""
        for rule in self.choice.only:
            preferred, _, shares = self.runs.test_rows(rule)
            test, lines, curve = table.TestRows(preferred), collections.defaultdict(dict), {}
            for size in self.choice.sizes:
                results = self.results(rule, size)
                for method, (rate, found) in results.items():
                    sft = results.get("SFT", (None, []))[1]
                    lines[method][size] = table.line_of(size, method, rate, found, sft, test)
                    curve.setdefault(method, []).append((size, *test.kl(found)))
            title = self.subject.rules[rule].title
            head = f"### Rule: {title}\n\n{self.of_the_rule(rule, preferred, shares, test)}\n\n"
            short += f"{head}{table.short_table(lines, self.choice.sizes)}\n\n"
            long += f"{head}{table.long_table(itertools.chain.from_iterable(map(dict.values, lines.values())))}\n\n"
            curves |= {title: curve} if curve else {}
        (self.out / "law.md").write_text(long, encoding="utf-8")
        print(short, end="")
        if curves and not self.choice.smoke:
            table.write_plot(curves, self.out / "law.svg")
        if self.choice.docs:
            before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
            after = rest.split(END)[1]
            image = f"![Distance from p+ against the number of samples]({PLOT.name})"
            PAGE.write_text(f"{before}{BEGIN}\n\n{image}\n\n{short}{END}{after}", encoding="utf-8")
            shutil.copy(self.out / "law.svg", PLOT)

    def of_the_rule(self, rule, preferred, shares, test):
        words = lambda rows: statistics.mean(len(text_of(row).split()) for row in rows)
        everything = kept(self.samples.labelled(rule, self.samples.held_out("test")))
        return (f"KL(p+, reference): {table.plus_minus(test.kl_before())}. Preferred: {statistics.mean(shares):.2f} of "
                f"the reference's answers, {min(shares):.2f} to {max(shares):.2f} by prompt. Words: "
                f"{words(everything):.1f} of the reference, {words(preferred):.1f} of p+.")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subject", choices=SUBJECTS, default="small")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--only", nargs="+", metavar="RULE")
    parser.add_argument("--sizes", nargs="+", type=int, choices=SIZES, default=list(SIZES))
    parser.add_argument("--methods", nargs="+", choices=METHODS)
    parser.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=list(SEEDS))
    parser.add_argument("--budget-minutes", type=float, default=float("inf"))
    for name in ("plan", "report", "docs", "quick", "smoke"):
        parser.add_argument(f"--{name}", action="store_true")
    choice = parser.parse_args()
    subject = SUBJECTS[choice.subject]
    rules = subject.rules
    choice.only = choice.only or list(rules)
    if unknown := next((rule for rule in choice.only if rule not in rules), None):
        parser.error(f"{choice.subject} has no rule {unknown}; it has {', '.join(rules)}")
    choice.out = choice.out or ROOT / "runs/law" / choice.subject
    form = "quick" if choice.quick else "smoke" if choice.smoke else "full"
    choice.extent = subject.extents[form]
    choice.methods = choice.methods or list(choice.quick and subject.quick_methods or METHODS)
    if form != "full":
        choice.only, choice.sizes, choice.seeds = choice.only[:1], [choice.extent.chunk_rows], SEEDS[:1]
        choice.out = choice.out / form
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
