"""A training, its measurement, and what becomes of it on disk."""
import dataclasses
import json
import math
import re
import shutil
import statistics
import time

from law.program import read_lines, run_program, score, text_of, write_lines
from law.samples import kept, labels, pairs, share
from law.table import surprise_of

LADDER = tuple(f"{digit}.0e-{exponent}" for exponent in range(9, 0, -1) for digit in (1, 3))


@dataclasses.dataclass(frozen=True)
class Method:
    objective: dict
    has_alpha: bool = False
    takes_pairs: bool = False
    lower: int = 0  # rungs of the ladder below the subject's rate: at higher ones these go through p+ and beyond


METHODS = {
    "DDRO": Method({"loss_type": "ddro"}, has_alpha=True),
    "DDRO, cap 10": Method({"loss_type": "ddro", "max_weight": 10}, has_alpha=True),
    "DDRO, ceiling": Method({"loss_type": "ddro", "stabilizer": "ceiling"}, has_alpha=True),
    "RDRO": Method({"loss_type": "rdro"}, has_alpha=True),
    "SFT": Method({"loss_type": "sft"}),
    "DPO": Method({"loss_type": "sigmoid", "beta": 0.1}, takes_pairs=True, lower=2),
    "KTO": Method({"loss_type": "kto", "beta": 0.1}, lower=2),
}


@dataclasses.dataclass(frozen=True)
class Run:
    rule: str
    size: int
    method: str
    rate: str
    seed: int

    def folder(self, out):
        method = re.sub(r"\W+", "_", self.method.lower())
        return out / "runs" / self.rule / str(self.size) / f"{method}_{self.rate}_seed{self.seed}"

    def completions(self):
        """About how many are trained on in an epoch; in pairs the preferred ones of these rows occur twice."""
        return int(1.4 * self.size) if METHODS[self.method].takes_pairs else self.size


class Runs:
    def __init__(self, out, samples):
        self.out, self.samples, self.subject, self.extent = out, samples, samples.subject, samples.extent

    def result(self, run):
        path = run.folder(self.out) / "result.json"
        return json.loads(path.read_text()) if path.is_file() else None

    def make(self, run):
        folder, begin = run.folder(self.out), time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        self.train(run, folder)
        result = self.measure(run, folder / "run") | {"seconds": time.monotonic() - begin}
        write_lines(folder / "result.json", [result])
        shutil.rmtree(folder / "run")  # weights three times over

    def train(self, run, folder):
        method, samples = METHODS[run.method], self.samples
        rows = samples.labelled(run.rule, samples.chunks(run.size, run.seed))
        held_out = samples.labelled(run.rule, samples.held_out("validation"))
        form = pairs if method.takes_pairs else labels
        write_lines(folder / "train.jsonl", form(kept(rows)))
        write_lines(folder / "validation.jsonl", form(kept(held_out)))
        config = {
            "model": {"model_name_or_path": str(samples.model), "dtype": "float32"},
            "reference": {"ref_cache_dir": str(self.out / "ref_cache")},
            "data": {"train_files": [str(folder / "train.jsonl")], "max_length": 256,
                     "eval_files": {"held_out": str(folder / "validation.jsonl")}},
            "objective": method.objective | ({"alpha": share(rows)} if method.has_alpha else {}),
            "train": {"output_dir": str(folder / "run"), "micro_batch_tokens": 4096, "seed": run.seed,
                      "train_batch_size": self.subject.batch(run.size) // (2 if method.takes_pairs else 1),
                      "num_train_epochs": self.subject.epochs(run.size)},
            "optimizer": {"learning_rate": float(run.rate), "lr_scheduler_type": "cosine", "warmup_ratio": 0.1,
                          "adam_beta2": 0.95},
            "eval": {"eval_strategy": "epoch", "eval_on_start": False, "metric_for_best_model": "held_out_loss",
                     "early_stopping_patience": 1},
            "checkpoint": {"save_strategy": "epoch", "save_total_limit": 1},
            "logging": {"report_to": ["jsonl"]}}
        (folder / "run.yaml").write_text(json.dumps(config))
        run_program("train", folder / "run.yaml")

    def test_rows(self, rule):
        """Preferred answers to measure KL by, with `surprise`, log p+ - log reference; some of the others; the shares
        of preferred answers of the prompts."""
        rows, chances, extent = self.samples.labelled(rule, self.samples.held_out("test")), {}, self.extent
        for row in rows:
            chances.setdefault(row["place"], []).append(row["chance"])
        surprise = {place: surprise_of(values) for place, values in chances.items() if any(values)}
        preferred = [row | {"surprise": math.log(row["chance"]) + surprise[row["place"]]} for row in rows
                     if row["label"] and row["number"] < extent.scored_samples]
        others = [row for row in kept(rows) if not row["label"] and row["number"] < extent.scored_unpreferred]
        return preferred, others, [statistics.mean(values) for values in chances.values()]

    def log_ratios(self, model, rows):
        return [logp - row["logp"] for logp, row in zip(score(model, rows), rows, strict=True)]

    def measure(self, run, folder):
        model, samples = folder / "best", self.samples
        preferred, others, _ = self.test_rows(run.rule)
        validation = [row for row in samples.labelled(run.rule, samples.held_out("validation")) if row["label"]]
        ratios = iter(self.log_ratios(model, preferred + others + validation))
        of = lambda rows: [next(ratios) for _ in rows]
        answers = samples.generate(model, samples.test_prompts(), self.extent.answers, run.seed)
        return {
            "log_ratios": of(preferred), "unpreferred": statistics.mean(of(others)),
            "validation": statistics.mean(of(validation)), "epoch": best_epoch(folder),
        } | self.language(run, answers)

    def language(self, run, answers):
        answers = [row for row in answers if text_of(row).strip()]
        words = [len(text_of(row).split()) for row in answers]
        surprise, chance = -sum(score(self.samples.model, answers)), self.subject.rules[run.rule].chance
        return {"rule": statistics.mean(chance(text_of(row)) for row in answers),
                "words": statistics.mean(words), "nats_a_word": surprise / sum(words)}

    def validation(self, rule, size, method, rate, seed):
        result = self.result(Run(rule, size, method, rate, seed))
        return result and result["validation"]

    def rates(self, rule, size, method, seed):
        """Learning rates to try: three, and further ones for as long as the best of them is the first or the last."""
        first = last = LADDER.index(f"{self.subject.rate:.1e}".replace("e-0", "e-")) - METHODS[method].lower
        if not self.extent.searches_rates:
            return [LADDER[first]]
        first, last = first - 1, last + 1
        while True:
            found = [self.validation(rule, size, method, rate, seed) for rate in LADDER[first:last + 1]]
            if None in found:
                return LADDER[first:last + 1]
            if found[0] == max(found) and first > 0:
                first -= 1
            elif found[-1] == max(found) and last < len(LADDER) - 1:
                last += 1
            else:
                return LADDER[first:last + 1]

    def chosen_rate(self, rule, size, method, seed):
        """The rate whose policy is nearest to the preferred answers of the validation set; None before all of them
        were tried with this seed."""
        found = {rate: self.validation(rule, size, method, rate, seed)
                 for rate in self.rates(rule, size, method, seed)}
        return None if None in found.values() else max(found, key=found.get)


def best_epoch(folder):
    step = json.loads((folder / "best/trainer.json").read_text())["step"]
    return next(line["epoch"] for line in read_lines(folder / "metrics.jsonl")
                if line["kind"] == "train" and line["step"] == step)
