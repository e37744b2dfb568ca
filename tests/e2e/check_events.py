"""Compares TensorBoard's reading of a run's event files with its metrics.jsonl.

usage: check_events.py RUN      exits 0 when each tag has the steps and (in single precision) the values of the file

The files are read by TensorBoard's own accumulator, which drops what a restarted run has withdrawn.
"""
import json
import sys

import numpy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run = sys.argv[1]
expected = {}
with open(f"{run}/metrics.jsonl", encoding="utf-8") as file:
    for line in map(json.loads, file):
        kind, step = line.pop("kind"), line.pop("step")
        for name, value in line.items():
            if value is not None:
                expected.setdefault(f"{kind}/{name.removeprefix('eval_')}", []).append((step, numpy.float32(value)))

accumulator = EventAccumulator(run, size_guidance={"scalars": 0})
accumulator.Reload()
tags = set(accumulator.Tags()["scalars"])
if tags != set(expected):
    sys.exit(f"other tags: only in TensorBoard {tags - set(expected)}, only in the file {set(expected) - tags}")
values = 0
for tag, points in expected.items():
    got = [(event.step, numpy.float32(event.value)) for event in accumulator.Scalars(tag)]
    if got != points:
        sys.exit(f"{tag}: expected {points}, got {got}")
    values += len(points)
print(f"{len(expected)} tags, {values} values")
sys.exit(0 if values else "no values")
