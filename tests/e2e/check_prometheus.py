"""Compares Prometheus' own reading of a run's metrics.prom with the last lines of its metrics.jsonl.

usage: check_prometheus.py RUN      exits 0 when each metric of them is a sample, and names and labels are as they should be
"""
import json
import math
import re
import sys

from prometheus_client.parser import text_string_to_metric_families

run = sys.argv[1]
last = {}
with open(f"{run}/metrics.jsonl", encoding="utf-8") as file:
    for line in map(json.loads, file):
        last[line.pop("kind")] = line
sets = {re.fullmatch("eval_(.*)_loss", name)[1] for name in last["eval"] if name.endswith("_loss")}

with open(f"{run}/metrics.prom", encoding="utf-8") as file:
    text = file.read()
assert text.endswith("\n")
got = {}
for family in text_string_to_metric_families(text):
    assert family.type in ("gauge", "counter") and family.documentation, family
    assert re.fullmatch("ddro_(train|eval)_[a-z0-9_]+", family.name), family.name
    kind = family.name.split("_")[1]
    for sample in family.samples:
        assert sample.name.endswith("_total") == (family.type == "counter"), sample
        assert sample.timestamp is None, "a text file collector refuses timestamps"
        assert sample.labels.pop("run") == run, sample
        metric = family.documentation.removesuffix(f" of the last {kind} line of metrics.jsonl")
        if metric == "timestamp_s":
            continue
        of_set = sample.labels.pop("set", None)
        assert not sample.labels and (of_set is None or of_set in sets), sample
        prefix = "" if kind == "train" or metric == "step" else f"eval_{of_set}_" if of_set else "eval_"
        assert (kind, prefix + metric) not in got, sample
        got[kind, prefix + metric] = sample.value

for (kind, name), value in got.items():
    expected = last[kind][name]
    assert math.isnan(value) if expected is None else value == expected, (kind, name, value, expected)
missing = {(kind, name) for kind, line in last.items() for name in line} - set(got)
sys.exit(f"not exposed: {missing}" if missing or len(got) < 40 else 0)
