"""Writes loss_terms.txt: the terms of DDRO and RDRO at 60 digits, straight from the table of generators.

python tests/golden/make_loss_terms.py > tests/golden/loss_terms.txt     (mpmath 1.3)

Shares nothing with the program: no log-space forms, the slopes by numerical differentiation. Independent evidence, not
only a drift alarm.
"""
from mpmath import diff, exp, log, mp, mpf

mp.dps = 60


def generators(power):
    b = mpf(power)
    return {
        "logistic": (lambda g: log(1 + 1 / g), lambda g: log(1 + g)),
        "kl": (lambda g: -log(g), lambda g: g),
        "lsif": (lambda g: -g, lambda g: g**2 / 2),
        "basu": (lambda g: -((1 + b) * g**b - 1) / b, lambda g: g ** (1 + b)),
    }


def capped(term, alpha, weight, l):
    """Value and slope of term(g(l)) up to the cap, of its tangent beyond."""
    a, w, l = mpf(alpha), mpf(weight), mpf(l)
    of_l = lambda x: term((1 - a) * exp(x) / (1 - a * exp(x)))
    cap = log(w / (a * (1 + w)))
    at = min(l, cap)
    # A step that stays well inside the pole on either side, however near the cap is.
    slope = diff(of_l, at, h=mpf(10) ** -25)
    return of_l(at) + slope * (l - at), slope


def main():
    rows = []
    for alpha, weight in [(0.5, 1000.0), (0.39, 10.0), (0.7, 20.0), (0.01, 3.0), (0.99, 1e6)]:
        pole = -log(mpf(alpha))
        cap = pole - log(1 + 1 / mpf(weight))
        points = [-1e4, -50.0, -5.0, -1.0, -1e-3, 0.0, 0.3, float(cap - mpf(10) ** -6), float(cap + mpf(10) ** -6),
                  float(pole - mpf(10) ** -6), float(pole), 2.0, 50.0, 1e4]
        for power in [0.5, 1e-6, 2.0]:
            for name, pair in generators(power).items():
                if name != "basu" and power != 0.5:
                    continue
                for l in points:
                    # g underflows to nothing that 60 digits can tell from 0 in 1 + g: widen the precision.
                    mp.dps = 60 if l > -100 else 10000
                    (p, dp), (u, du) = (capped(term, alpha, weight, l) for term in pair)
                    mp.dps = 60
                    rows.append([name, power, alpha, weight, l] + [float(x) for x in (p, dp, u, du)])
    for alpha in [0.5, 0.39, 0.9]:
        a = mpf(alpha)
        for l in [-700.0, -50.0, -1.0, 0.0, 0.5, 50.0, 700.0]:
            mp.dps = 700
            softplus = lambda x: log(1 + exp(x))
            preferred = lambda x: (1 + a) * softplus(x) - x
            unpreferred = lambda x: (1 - a) * softplus(x)
            values = [preferred(mpf(l)), diff(preferred, mpf(l)), unpreferred(mpf(l)), diff(unpreferred, mpf(l))]
            rows.append(["rdro", 1.0, alpha, 1.0, l] + [float(x) for x in values])
            mp.dps = 60
    print("# Made by tests/golden/make_loss_terms.py: mpmath, 60 digits or more.")
    print("# loss power alpha max_weight l preferred slope unpreferred slope")
    for row in rows:
        print(*row)


main()
