"""Prints the largest differences that the parity tests recorded, a row a model family, as Markdown.

usage: parity.py TESTS MODELS      TESTS: googletest's JSON; MODELS: the folder of the fixtures' models
"""

import json
import pathlib
import sys

TYPES = ("Float64", "Float32")
PARTS = ("logits", "gradients")


def largest_errors(tests, models):
    """family -> (type, part) -> the largest error of its models."""
    errors = {}
    for suite in tests["testsuites"]:
        for test in suite["testsuite"]:
            kind, name = test["name"].split("/")
            family = json.loads((models / name / "config.json").read_text())["model_type"]
            row = errors.setdefault(family, {})
            for part in PARTS:
                key = (kind.removeprefix("EqualsTransformersIn"), part)
                row[key] = max(row.get(key, 0), float(test[part]))
    return errors


def main():
    errors = largest_errors(json.loads(pathlib.Path(sys.argv[1]).read_text()), pathlib.Path(sys.argv[2]))
    columns = [(kind, part) for kind in TYPES for part in PARTS]
    print("| `model_type` |", " | ".join(f"{part}, {kind.lower()}" for kind, part in columns), "|")
    print("| --- |" + " --- |" * len(columns))
    for family in sorted(errors):
        print(f"| `{family}` |", " | ".join(f"{errors[family][column]:.1e}" for column in columns), "|")


if __name__ == "__main__":
    main()
