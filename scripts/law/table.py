"""Figures, table and plot."""
import math
import statistics


def mean_with_error(values, places):
    """Mean over rows and its standard error; rows of one prompt, which `places` tells, are not independent."""
    mean = statistics.mean(values)
    sums = {}
    for value, place in zip(values, places, strict=True):
        sums[place] = sums.get(place, 0) + value - mean
    count = len(sums)
    return mean, math.sqrt(sum(x * x for x in sums.values()) * count / (count - 1)) / len(values)


def over_seeds(values_by_seed, places):
    """The same of rows measured once a seed; where there are several, what the seeds differ by is in the error."""
    mean, error = mean_with_error([statistics.mean(values) for values in zip(*values_by_seed, strict=True)], places)
    if len(values_by_seed) > 1:
        means = [statistics.mean(values) for values in values_by_seed]
        error = math.hypot(error, statistics.stdev(means) / math.sqrt(len(means)))
    return mean, error


def surprise_of(chances):
    """-log of a prompt's share of preferred answers, of its samples' chances to be preferred. The rows that it is
    averaged over are among those samples, so that it comes out too small by half its relative variance on average."""
    share = statistics.mean(chances)
    return -math.log(share) + statistics.pvariance(chances) / (2 * len(chances) * share**2)


class TestRows:
    """Preferred answers to test prompts, samples of p+; `surprise` of each is log p+ - log reference."""

    def __init__(self, rows):
        self.places, self.surprise = [row["place"] for row in rows], [row["surprise"] for row in rows]

    def kl_before(self):
        return mean_with_error(self.surprise, self.places)

    def kl(self, results):
        """KL(p+, policy) and its standard error, of the results of several seeds."""
        return over_seeds([[a - b for a, b in zip(self.surprise, result["log_ratios"], strict=True)]
                           for result in results], self.places)

    def difference(self, results, others):
        """KL of `results` less that of `others`, seed by seed on the same rows: what they share is not in its error."""
        return over_seeds([[b - a for a, b in zip(ours["log_ratios"], theirs["log_ratios"], strict=True)]
                           for ours, theirs in zip(results, others)], self.places)


KL = "KL(p+, policy)"
COLUMNS = ("n", "", "learning rate", "epoch", "seeds", KL, "less SFT's", "log-ratio, unpreferred",
           "rule satisfied", "words", "nats a word")


def plus_minus(figure):
    return f"{figure[0]:.3f} ± {figure[1]:.3f}"


def line_of(size, method, rate, results, sft, test):
    mean = lambda key: statistics.mean(result[key] for result in results)
    less = plus_minus(test.difference(results, sft)) if sft and method != "SFT" else ""
    return (size, method, rate, f"{mean('epoch'):.1f}", len(results), plus_minus(test.kl(results)), less,
            f"{mean('unpreferred'):.2f}", f"{mean('rule'):.2f}", f"{mean('words'):.1f}", f"{mean('nats_a_word'):.2f}")


def as_table(lines):
    return "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in lines)


def long_table(lines):
    return as_table([COLUMNS, ["---"] * len(COLUMNS), *lines])


def short_table(cells, sizes):
    """cells: method -> size -> line_of's"""
    lines = [["", *(f"n = {size}" for size in sizes), "rule satisfied", "words"]]
    lines.append(["---"] * len(lines[0]))
    for method, by_size in cells.items():
        last = by_size.get(sizes[-1], [""] * len(COLUMNS))
        lines.append([method, *(by_size[size][COLUMNS.index(KL)] if size in by_size else "" for size in sizes),
                      last[COLUMNS.index("rule satisfied")], last[COLUMNS.index("words")]])
    return as_table(lines)


def write_plot(curves, path):
    """curves: title of a rule -> method -> [(size, KL, error)]"""
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    plt.rcParams["svg.hashsalt"] = "ddro-train"
    figure, axes = plt.subplots(1, len(curves), figsize=(5 * len(curves), 4), squeeze=False)
    for axis, (title, methods) in zip(axes[0], curves.items()):
        for method, points in methods.items():
            sizes, means, errors = zip(*points)
            axis.errorbar(sizes, means, errors, marker="o", capsize=2, label=method)
        axis.set(xscale="log", yscale="log", title=title, xlabel="samples of the reference",
                 ylabel="KL(p+, policy), nats an answer")
        axis.legend(fontsize="small")
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
