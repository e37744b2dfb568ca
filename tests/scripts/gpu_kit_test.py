"""scripts/gpu_kit packs what a machine with a GPU and without network needs, and it runs where nothing else is.

    .venv/bin/python tests/scripts/gpu_kit_test.py

The kit is unpacked into a folder of its own and rehearsed with small models by a Python that has torch; what needs a
device is skipped by name. Needs what scripts/gpu_kit needs.
"""

import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks/gpu_kit"))

import parts  # noqa: E402
import run  # noqa: E402
import summary  # noqa: E402


def sources_with_device_tests():
    pattern = re.compile(r"^(TEST(_[PF])?|INSTANTIATE_TEST_SUITE_P)\((\w*(Cuda|Gpu)\w*,|\w+,\s*\w*(Cuda|Gpu))", re.M)
    return [path for path in (ROOT / "tests").rglob("*_test.cpp") if pattern.search(path.read_text(encoding="utf-8"))]


def target_of(source):
    """The test program that a source is compiled into."""
    for folder in source.parents:
        file = folder / "CMakeLists.txt"
        if not file.exists():
            continue
        for name, sources in re.findall(r"ddro_test\((\w+)([^)]*)\)", file.read_text(encoding="utf-8")):
            if str(source.relative_to(folder)) in sources.split():
                return name
    raise AssertionError(f"no test program holds {source}")


class Parts(unittest.TestCase):
    """How parts are run, with parts made for the purpose."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.out = Path(holder.name)

    def run_as(self, name, limit_s):
        """A part of this name, whose process is a shell line instead of parts.py."""
        def part():
            pass
        part.__name__ = name
        return run.run_part(parts.Part(part, limit_s), self.out, rehearse=True)

    def use(self, text):
        """As parts.py: gets PART SCRATCH RESULT."""
        head = "import json, pathlib, subprocess, sys, time\nname, scratch, result = sys.argv[1:4]\n"
        (self.out / "parts.py").write_text(f"{head}{text}\n")
        previous = run.KIT
        run.KIT = self.out
        self.addCleanup(setattr, run, "KIT", previous)

    def test_a_result_is_kept_with_the_log(self):
        self.use("print('hello'); pathlib.Path(result).write_text(json.dumps({'rate': 3}))")
        entry = self.run_as("one", 20)
        self.assertEqual((entry["status"], entry["result"]), ("ok", {"rate": 3}))
        self.assertEqual((self.out / "one.log").read_text(), "hello\n")

    def test_a_failure_and_a_skip_are_told_apart(self):
        self.use("sys.exit('it broke')")
        self.assertEqual(self.run_as("one", 20)["status"], "failed")
        self.use("pathlib.Path(result).write_text(json.dumps({'skipped': 'no CUDA device'}))")
        self.assertEqual(self.run_as("two", 20)["status"], "skipped")

    def test_a_part_that_is_stopped_leaves_what_it_had(self):
        self.use("pathlib.Path(result).write_text(json.dumps({'rate': 3})); time.sleep(60)")
        entry = self.run_as("one", 1)
        self.assertEqual((entry["status"], entry["result"]), ("timed out", {"rate": 3}))

    def test_a_part_that_takes_too_long_ends_with_all_it_started(self):
        mark = self.out / "mark"
        self.use(f"subprocess.Popen(['sh', '-c', 'sleep 6; touch {mark}'])\ntime.sleep(60)")
        entry = self.run_as("one", 1)
        self.assertEqual(entry["status"], "timed out")
        self.assertLess(entry["seconds"], 6)
        subprocess.run(["sleep", "6"], check=True)
        self.assertFalse(mark.exists())

    def test_what_a_part_wrote_before_its_end_is_removed(self):
        self.use("pathlib.Path(scratch, 'large').write_text('x'); print(scratch)")
        self.run_as("one", 20)
        self.assertFalse(Path((self.out / "one.log").read_text().strip()).exists())


class Summary(unittest.TestCase):
    def test_tests_are_counted_by_how_they_ended(self):
        test = lambda name, **more: {"name": name, "result": "COMPLETED", **more}
        report = {"testsuites": [{"name": "StepCuda", "testsuite": [
            test("A"), test("B", failures=[{}]), {"name": "C", "result": "SKIPPED"}]}]}
        self.assertEqual(parts.count_tests(report),
                         {"passed": ["StepCuda.A"], "failed": ["StepCuda.B"], "skipped": ["StepCuda.C"]})

    def test_names_every_part_and_how_it_ended(self):
        entry = {"seconds": 1.5, "limit_s": 20}
        text = summary.to_markdown([{**entry, "part": "machine", "status": "ok", "result": {"sound": True}},
                                    {**entry, "part": "gpu_tests", "status": "skipped", "result": {"skipped": "no device"}},
                                    {**entry, "part": "resume", "status": "timed out", "result": {}}])
        for line in ("| machine | ok | 1.5 | 20 |", "| gpu_tests | skipped: no device | 1.5 | 20 |",
                     "| resume | timed out | 1.5 | 20 |", '"sound": true'):
            self.assertIn(line, text)


class Kit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        folder = Path(holder.name)
        subprocess.run([ROOT / "scripts/gpu_kit", "--out", folder / "kit.tar.xz"], check=True)
        subprocess.run([sys.executable, "-m", "tarfile", "--extract", folder / "kit.tar.xz", folder], check=True)
        cls.kit, = folder.glob("ddro-train-gpu-kit-*")

    def test_holds_every_test_that_needs_a_device(self):
        needed = {target_of(source) for source in sources_with_device_tests()}
        self.assertEqual({path.name for path in (self.kit / "tests").iterdir()}, needed)

    def test_rehearses_on_any_machine(self):
        environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": "/nonexistent",
                       "HF_HUB_OFFLINE": "1"}
        done = subprocess.run([self.kit / "run", "--rehearse", "--out", self.kit / "results"], env=environment,
                              capture_output=True, text=True, cwd="/")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        entries = {entry["part"]: entry for entry in json.loads((self.kit / "results/summary.json").read_text())}
        self.assertEqual(list(entries), [part.name for part in parts.PARTS])
        if not parts.has_gpu():
            for name in ("gpu_tests", "speed_8b", "sanitizer", "kernel_profile"):
                self.assertEqual(entries[name]["status"], "skipped", name)
                self.assertTrue(entries[name]["result"]["skipped"].startswith("no CUDA device"), name)
        for name in ("machine", "speed_1b", "resume", "generation", "transformers"):
            self.assertEqual(entries[name]["status"], "ok", name)
        self.assertTrue(all(entries["resume"]["result"]["deterministic"].values()))
        self.assertGreater(entries["transformers"]["result"]["masters none"]["pairs_per_second"], 0)


if __name__ == "__main__":
    unittest.main()
