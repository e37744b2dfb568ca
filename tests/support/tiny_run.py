"""A run of the program on the tiny model of tests/fixtures/make_tiny_run.py, for tests that are programs of their own."""
import json
import os
import subprocess
from pathlib import Path

PROGRAM = os.environ["DDRO_TRAIN"]
MODEL = Path(os.environ["DDRO_FIXTURES"]) / "tiny_run"
FLEETING = {"step_time_s", "data_wait_s", "tokens_per_second", "mfu", "peak_memory_bytes", "eval_runtime",
            "eval_sampling_time_s"}


class TinyRun:
    """A configuration in `folder`, which it makes, and what a run of it leaves. `sections` add to the configuration."""

    def __init__(self, folder, **sections):
        folder.mkdir()
        self.output, self.config = folder / "run", folder / "run.yaml"
        settings = {
            "model": {"model_name_or_path": str(MODEL / "model"), "dtype": "float32"},
            "data": {"train_files": [str(MODEL / "pairs_train.jsonl")], "max_length": 128,
                     "eval_files": {"held_out": str(MODEL / "pairs_eval.jsonl")}},
            "train": {"output_dir": str(self.output), "train_batch_size": 8, "micro_batch_tokens": 160},
            "optimizer": {"learning_rate": 3e-3}}
        for name, section in sections.items():
            settings[name] = settings.get(name, {}) | section
        self.config.write_text(json.dumps(settings))

    def start(self, log, *options):
        with open(log, "w", encoding="utf-8") as file:
            return subprocess.Popen([PROGRAM, "train", self.config, *options], stderr=file)

    def finish(self, *options):
        subprocess.run([PROGRAM, "train", self.config, *options], check=True, stderr=subprocess.DEVNULL)
        return self

    def result(self):
        """The model, and the metrics without what differs from run to run anyway."""
        with open(self.output / "metrics.jsonl", encoding="utf-8") as lines:
            metrics = [{name: value for name, value in json.loads(line).items() if name not in FLEETING} for line in lines]
        return (self.output / "final/model.safetensors").read_bytes(), metrics

    def num_starts(self):
        return json.loads((self.output / "run.json").read_text())["starts"]

    def num_files(self):
        """Without the event files, one a start."""
        return sum(not path.name.startswith("events.out.tfevents.") for path in self.output.rglob("*"))
