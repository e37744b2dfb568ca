"""The statistical claim, reproduced with the real trainer: see docs/consistency.md and scripts/reproduce_consistency.

A policy over 25 outcomes whose preferred and unpreferred distributions p+ and p- are known. An outcome is a sequence of
two tokens from a vocabulary of five, so that every sequence is one; the reference is a one-layer transformer that holds
its distribution exactly; samples enter as weighted rows; training, scoring and the folders between are those of
`ddro-train`. The error of a trained policy is KL(p+, policy), summed over the outcomes.
"""
import argparse
import collections
import concurrent.futures
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build/release/bin/ddro-train"
VOCAB = "abcde"
OUTCOMES = [x + y for x, y in itertools.product(VOCAB, VOCAB)]
PROMPT = "ab"
WIDTH = 16
STEPS = 3000
RATE = 0.003


def draw_distribution(rng):
    """Dirichlet(0.5) plus 1e-3, renormalised: no outcome is impossible."""
    p = rng.dirichlet(np.full(len(OUTCOMES), 0.5)) + 1e-3
    return p / p.sum()


def kl(p, log_q):
    return float(np.sum(p * (np.log(p) - log_q)))


def normalised(x):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True))


def reference_weights(q):
    """One layer. Its attention looks at all tokens alike (zero queries) and adds their mean to other dimensions than the
    token's own, so that the hidden states after the prompt and after each first token are linearly independent: the head
    that gives q's log-probabilities there is the solution of a linear system. Its feed-forward part begins at zero."""
    size = len(VOCAB)
    grid = q.reshape(size, size)
    log_probs = np.log(np.vstack([grid.sum(1), grid / grid.sum(1, keepdims=True)]))  # after the prompt, after each token
    embedding, mean_to_residual = np.zeros((size, WIDTH)), np.zeros((WIDTH, WIDTH))
    embedding[np.arange(size), np.arange(size)] = 1.0
    mean_to_residual[size + np.arange(size), np.arange(size)] = 1.0
    contexts = [[VOCAB.index(c) for c in PROMPT + first] for first in ["", *VOCAB]]
    states = normalised(np.array([
        embedding[ids[-1]] + mean_to_residual @ normalised(embedding[ids]).mean(0) for ids in contexts]))
    rng = np.random.default_rng(0)
    layer = "model.layers.0."
    return {
        "model.embed_tokens.weight": embedding, "model.norm.weight": np.ones(WIDTH),
        "lm_head.weight": np.linalg.lstsq(states, log_probs, rcond=None)[0].T.copy(),
        f"{layer}self_attn.q_proj.weight": np.zeros((WIDTH, WIDTH)),
        f"{layer}self_attn.k_proj.weight": rng.normal(0, 0.2, (WIDTH, WIDTH)),
        f"{layer}self_attn.v_proj.weight": np.eye(WIDTH), f"{layer}self_attn.o_proj.weight": mean_to_residual,
        f"{layer}mlp.gate_proj.weight": rng.normal(0, 0.2, (32, WIDTH)),
        f"{layer}mlp.up_proj.weight": rng.normal(0, 0.2, (32, WIDTH)),
        f"{layer}mlp.down_proj.weight": np.zeros((WIDTH, 32)),
        f"{layer}input_layernorm.weight": np.ones(WIDTH), f"{layer}post_attention_layernorm.weight": np.ones(WIDTH)}


def write_reference(folder, q):
    folder.mkdir(parents=True)
    save_file(reference_weights(q), folder / "model.safetensors", metadata={"format": "pt"})
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": len(VOCAB),
              "hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
              "num_key_value_heads": 2, "max_position_embeddings": 16, "rms_norm_eps": 1e-14, "hidden_act": "silu",
              "tie_word_embeddings": False, "eos_token_id": 0, "dtype": "float64"}
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(VOCAB)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')


# No outcome is followed by an end token: all have two tokens.
def unpaired_rows(counts_plus, counts_minus):
    return [{"prompt": PROMPT, "completion": outcome, "label": label, "weight": float(count),
             "finished": False}
            for label, counts in ((True, counts_plus), (False, counts_minus))
            for outcome, count in zip(OUTCOMES, counts) if count > 0]


def paired_rows(counts):
    """counts[i, j]: how often outcome i was preferred to outcome j."""
    return [{"prompt": PROMPT, "chosen": OUTCOMES[i], "rejected": OUTCOMES[j], "weight": float(counts[i, j]),
             "chosen_finished": False, "rejected_finished": False}
            for i, j in zip(*np.nonzero(counts)) if i != j]


def run(*arguments):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], env=environment, text=True, capture_output=True,
                          check=False)
    if done.returncode != 0:
        sys.exit(f"ddro-train {arguments[0]} failed ({done.returncode}): {done.stderr[-1000:]}")
    return done.stdout


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def fit(reference, rows, objective, fits_reference=False, held_out=()):
    """Trains on the whole of `rows` in every step, first the reference if it is fitted too; log-probabilities of the
    outcomes under the result, or under the best one by the loss on held-out rows."""
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        model = scratch / "reference"
        write_reference(model, reference)
        write_rows(scratch / "train.jsonl", rows)
        write_rows(scratch / "held_out.jsonl", held_out)
        evaluation = {"eval_steps": 25, "metric_for_best_model": "loss", "early_stopping_patience": 12}
        config = {"model": {"model_name_or_path": str(model), "dtype": "float64"},
                  "reference": {"precompute_ref_log_probs": False, "fit": {
                      "num_train_epochs": STEPS if fits_reference else 0, "learning_rate": RATE}},
                  "data": {"train_files": [str(scratch / "train.jsonl")],
                           "eval_files": {"held_out": str(scratch / "held_out.jsonl")} if held_out else {}},
                  "objective": objective,
                  "train": {"output_dir": str(scratch / "run"), "train_batch_size": len(rows), "max_steps": STEPS},
                  "optimizer": {"learning_rate": RATE, "lr_scheduler_type": "cosine", "warmup_ratio": 0.05,
                                "max_grad_norm": 0.0, "adam_beta2": 0.99},
                  "eval": {"eval_on_start": False} | (evaluation if held_out else {"eval_strategy": "no"}),
                  "logging": {"logging_steps": STEPS, "report_to": ["jsonl"]},
                  "checkpoint": {"save_steps": 10 * STEPS, "save_total_limit": 1}}
        (scratch / "run.yaml").write_text(json.dumps(config))
        run("train", scratch / "run.yaml")
        write_rows(scratch / "outcomes.jsonl", [
            {"prompt": PROMPT, "completion": outcome, "label": True, "finished": False} for outcome in OUTCOMES])
        model = scratch / "run" / ("best" if held_out else "final")
        scores = run("score", "--model", model, "--data", scratch / "outcomes.jsonl", "--dtype", "float64")
        return np.array([json.loads(line)["logp"] for line in scores.splitlines()])


DDRO = {"loss_type": "ddro", "alpha": 0.5, "max_weight": 1000}
RDRO = {"loss_type": "rdro", "alpha": 0.5}
SFT = {"loss_type": "sft"}
DPO = {"loss_type": "sigmoid", "beta": 1.0}
KTO = {"loss_type": "kto", "beta": 1.0}
METHODS = {"DDRO": DDRO, "RDRO": RDRO, "SFT on D+": SFT, "DPO": DPO, "KTO": KTO}


def random_pairs(rng, n, p_plus, p_minus):
    return rng.multinomial(n, np.outer(p_plus, p_minus).ravel()).reshape(len(OUTCOMES), len(OUTCOMES))


def sampled_rows(rng, name, n, p_plus, p_minus):
    """n samples from each side, or n pairs of them at random for DPO."""
    if name == "DPO":
        return paired_rows(random_pairs(rng, n, p_plus, p_minus))
    return unpaired_rows(rng.multinomial(n, p_plus), rng.multinomial(n, p_minus))


# What an experiment yields; a cell is the median over its draws.
Job = collections.namedtuple(
    "Job", "cell reference rows objective p_plus fits_reference held_out", defaults=[False, ()])


def rates(draws, sizes):
    for draw, n, (name, objective) in itertools.product(range(draws), sizes, METHODS.items()):
        rng = np.random.default_rng([draw, 0])
        p_plus, p_minus = draw_distribution(rng), draw_distribution(rng)
        rows = sampled_rows(np.random.default_rng([draw, n]), name, n, p_plus, p_minus)
        yield Job((n, name), (p_plus + p_minus) / 2, rows, objective, p_plus)


def few(draws, sizes):
    """So few samples that the policy of the last step has learnt them by heart: the best one by 256 held-out samples of
    each class counts."""
    methods = {"SFT on D+": SFT, "RDRO": RDRO} | {
        f"DDRO, cap {cap}": DDRO | {"max_weight": cap} for cap in (10, "auto", 1000)}
    methods["DDRO, ceiling"] = DDRO | {"max_weight": "auto", "stabilizer": "ceiling"}
    for draw, n, (name, objective) in itertools.product(range(draws), sizes, methods.items()):
        rng = np.random.default_rng([draw, 0])
        p_plus, p_minus = draw_distribution(rng), draw_distribution(rng)
        rows = sampled_rows(np.random.default_rng([draw, n]), name, n, p_plus, p_minus)
        held_out = sampled_rows(np.random.default_rng([draw, 3]), name, 256, p_plus, p_minus)
        yield Job((n, name), (p_plus + p_minus) / 2, rows, objective, p_plus, held_out=held_out)


def cyclic(draws, sizes):
    """Pairs of samples of the reference, compared by a rule in which every outcome beats half of the others around a
    circle, the nearest ones most surely: no scores of the outcomes give such probabilities. The winners' distribution is
    p+, and the reference is the exact mixture of winners and losers."""
    place = np.arange(len(OUTCOMES))
    wins = 0.5 + 0.45 * np.sin(2 * np.pi * (place[:, None] - place[None, :]) / len(OUTCOMES))
    for draw, n in itertools.product(range(draws), sizes):
        rng = np.random.default_rng([draw, 1])
        reference = draw_distribution(rng)
        joint = 2 * np.outer(reference, reference) * wins
        np.fill_diagonal(joint, reference**2)  # an outcome against itself: no matter which one wins
        p_plus = joint.sum(1)
        counts = np.random.default_rng([draw, n, 1]).multinomial(n, joint.ravel() / joint.sum()).reshape(joint.shape)
        for name in ("DDRO", "RDRO", "DPO"):
            rows = paired_rows(counts) if name == "DPO" else unpaired_rows(counts.sum(1), counts.sum(0))
            yield Job((n, name), reference, rows, METHODS[name], p_plus)


def misspecified(draws, n):
    for draw, alpha, name in itertools.product(range(draws), (0.3, 0.4, 0.5, 0.6, 0.7), ("DDRO", "RDRO")):
        rng = np.random.default_rng([draw, 0])
        p_plus, p_minus = draw_distribution(rng), draw_distribution(rng)
        rows = sampled_rows(np.random.default_rng([draw, n]), name, n, p_plus, p_minus)
        yield Job((alpha, name), (p_plus + p_minus) / 2, rows, METHODS[name] | {"alpha": alpha}, p_plus)


def wrong_reference(draws, noises, sizes):
    """Log-probabilities of the exact mixture moved by Gaussian noise; cells by noise and size."""
    methods = {name: (METHODS[name], False) for name in ("DDRO", "RDRO")}
    methods |= {"DDRO, fit": (DDRO, True), "SFT on D+": (SFT, False)}
    for draw, noise, n, (name, (objective, fits)) in itertools.product(range(draws), noises, sizes, methods.items()):
        rng = np.random.default_rng([draw, 0])
        p_plus, p_minus = draw_distribution(rng), draw_distribution(rng)
        reference = (p_plus + p_minus) / 2 * np.exp(noise * rng.normal(size=len(OUTCOMES)))
        rows = sampled_rows(np.random.default_rng([draw, n]), name, n, p_plus, p_minus)
        row = n if len(noises) == 1 else noise
        yield Job((row, name), reference / reference.sum(), rows, objective, p_plus, fits)


def imbalance(draws, n):
    for draw, (few, name) in itertools.product(
            range(draws), itertools.product(("preferred", "unpreferred"), ("DDRO", "RDRO", "SFT on D+"))):
        rng = np.random.default_rng([draw, 0])
        p_plus, p_minus = draw_distribution(rng), draw_distribution(rng)
        rng = np.random.default_rng([draw, n, 2])
        n_plus, n_minus = (n // 100, n) if few == "preferred" else (n, n // 100)
        rows = unpaired_rows(rng.multinomial(n_plus, p_plus), rng.multinomial(n_minus, p_minus))
        yield Job((f"a hundredth {few}", name), (p_plus + p_minus) / 2, rows, METHODS[name], p_plus)


CAPS = {f"cap {cap}": {"max_weight": cap} for cap in (2, 3, 10, 30, 100, 1000, 10000, "auto")} | {
    f"nnbd {cap}": {"stabilizer": "nnbd", "max_weight": cap} for cap in (10, 1000)} | {
    "ceiling auto": {"stabilizer": "ceiling", "max_weight": "auto"}}


def caps(draws, sizes):
    for draw, n, (name, options) in itertools.product(range(draws), sizes, CAPS.items()):
        rng = np.random.default_rng([draw, 0])
        p_plus, p_minus = draw_distribution(rng), draw_distribution(rng)
        rows = sampled_rows(np.random.default_rng([draw, n]), "DDRO", n, p_plus, p_minus)
        yield Job((name, n), (p_plus + p_minus) / 2, rows, DDRO | options, p_plus)


FITTED = {}  # several experiments begin with the same cell


def error_of(job):
    what = job.reference, job.rows, job.objective, job.fits_reference, job.held_out
    key = json.dumps([job.reference.tolist(), *what[1:]], sort_keys=True)
    if key not in FITTED:
        FITTED[key] = fit(*what)
    return kl(job.p_plus, FITTED[key])


def measure(experiment, workers):
    """cell -> KL of each draw"""
    jobs = list(experiment)
    cells = {}
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for job, error in zip(jobs, pool.map(error_of, jobs)):
            cells.setdefault(job.cell, []).append(error)
    return cells


def table(cells, corner):
    rows, columns = (list(dict.fromkeys(key[i] for key in cells)) for i in (0, 1))
    show = lambda value: f"{value:g}" if isinstance(value, (int, float)) and value < 10_000 else (
        f"{value:.0e}" if isinstance(value, int) else str(value))
    lines = [f"| {corner} | " + " | ".join(show(c) for c in columns) + " |", "| --- |" + " --- |" * len(columns)]
    for row in rows:
        lines.append(f"| {show(row)} | " + " | ".join(
            f"{np.median(cells[row, c]):.2e}" if (row, c) in cells else "" for c in columns) + " |")
    return "\n".join(lines)


def plot(cells, path):
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    plt.rcParams["svg.hashsalt"] = "ddro-train"
    figure, axes = plt.subplots(figsize=(6.5, 4.2))
    sizes = sorted({n for n, _ in cells})
    for name in METHODS:
        errors = np.array([cells[n, name] for n in sizes])
        line, = axes.loglog(sizes, np.median(errors, 1), marker="o", label=name)
        axes.fill_between(sizes, errors.min(1), errors.max(1), alpha=0.15, color=line.get_color(), linewidth=0)
    middle = np.median([cells[n, "DDRO"] for n in sizes], axis=1)
    axes.loglog(sizes, middle[0] * sizes[0] / np.array(sizes, float), "k:", linewidth=1, label="1/n")
    axes.set_xlabel("samples of each class")
    axes.set_ylabel("KL(p+, policy), nats")
    axes.legend(ncols=2, fontsize="small")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


MILLION = 1_000_000
SIZES = (10_000, 30_000, 100_000, 300_000, MILLION)

# name: (title of the section, what its rows are, jobs of so many draws)
EXPERIMENTS = {
    "rates": ("Error against the number of samples", "n", lambda draws: rates(draws, SIZES)),
    "few": ("Few samples, the best step by held-out loss", "n", lambda draws: few(draws, (100, 400, 1600, 6400))),
    "cyclic": ("Preferences that no Bradley-Terry model has", "pairs", lambda draws: cyclic(draws, SIZES[::2])),
    "alpha": ("A wrong alpha (the truth is 0.5; n = 1e6)", "alpha", lambda draws: misspecified(draws, MILLION)),
    "reference": ("A reference that is not the mixture (n = 1e6)", "noise of its log-probabilities",
                  lambda draws: wrong_reference(draws, (0.0, 0.1, 0.3, 1.0), (MILLION,))),
    "reference_sizes": ("The same at a noise of 0.3, against the number of samples", "n",
                        lambda draws: wrong_reference(draws, (0.3,), SIZES[::2])),
    "imbalance": ("One class a hundred times rarer (the other: 1e6)", "rare", lambda draws: imbalance(draws, MILLION)),
    "caps": ("What the stabilizer and its `max_weight` cost, DDRO", "stabilizer",
             lambda draws: caps(draws, (10_000, 100_000, MILLION))),
}

PAGE = ROOT / "docs/consistency.md"
BEGIN, END = "<!-- written by scripts/reproduce_consistency: begin -->", "<!-- end -->"
FIGURE = "![Error against the number of samples](consistency.svg)"


def write_sections(tables):
    """Puts the tables, by title, into the page; sections of other titles stay as they are."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    written, after = rest.split(END)
    sections = dict(part.split("\n\n", 1) for part in written.split("\n## ")[1:]) | tables
    text = "".join(f"## {title}\n\n{sections[title].strip()}\n\n" for title, *_ in EXPERIMENTS.values()
                   if title in sections)
    PAGE.write_text(f"{before}{BEGIN}\n\n{FIGURE}\n\n{text}{END}{after}", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS),
                        help="the tables to make again")
    parser.add_argument("--quick", action="store_true",
                        help="three draws of the first table at three sizes, nothing written")
    parser.add_argument("--smoke", action="store_true", help="one draw of the first table, nothing written")
    arguments = parser.parse_args()
    if arguments.smoke:
        cells = measure(rates(1, (10_000,)), arguments.workers)
        print(table(cells, "n"))
        ddro, sft, dpo = (cells[10_000, name][0] for name in ("DDRO", "SFT on D+", "DPO"))
        sys.exit(0 if ddro < 5e-3 and ddro < 2 * sft and dpo > 20 * ddro else "DDRO is not where theory has it")
    if arguments.quick:
        print(table(measure(rates(3, SIZES[::2]), arguments.workers), "n"))
        return
    for name in arguments.only:
        title, corner, jobs = EXPERIMENTS[name]
        cells = measure(jobs(arguments.draws), arguments.workers)
        if name == "rates":
            plot(cells, ROOT / "docs/consistency.svg")
        write_sections({title: table(cells, corner)})
        print(f"## {title}\n\n{table(cells, corner)}\n", flush=True)


if __name__ == "__main__":
    main()
