"""scripts/package makes a wheel and a tar file that work where nothing else of the checkout is.

    .venv/bin/python tests/scripts/package_test.py

The wheel goes into a virtual environment of its own and trains there. That environment's torch is the checkout's, as hard
links of its shared libraries with the packages' descriptions: pip resolves against what it would have installed, and the
program loads the same bytes. What this leaves unproven is that the registry's torch of today still is that one. Needs
scripts/make_fixtures tiny_run.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

import pyarrow
import pyarrow.parquet

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = Path(next(path for path in sys.path if path.endswith("site-packages"))).resolve()
SYSTEM_PATH = "/usr/bin:/bin"


def run(*command, path=SYSTEM_PATH, **options):
    """With hardly any environment: what a program finds, it finds by itself."""
    environment = {"PATH": path, "HOME": "/nonexistent", "OMP_WAIT_POLICY": "passive", **options.pop("variables", {})}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, **options)


def link_or_copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def link_torch(site):
    """LibTorch and the CUDA libraries, and the descriptions of all packages."""
    wanted = [*INSTALLED.glob("torch/lib/*.so*"), *INSTALLED.glob("nvidia/*/lib/*.so.*"),
              *INSTALLED.glob("*.dist-info/METADATA")]
    for file in wanted:
        link_or_copy(file, site / file.relative_to(INSTALLED))
    shutil.copy2(INSTALLED / "torch/version.py", site / "torch")  # which tests change


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        subprocess.run([ROOT / "scripts/package", "--tar"], check=True)
        version = re.search(r"ddro-train VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
        cls.wheel, = (ROOT / "dist").glob(f"ddro_train-{version}-*.whl")
        cls.tar = ROOT / f"dist/ddro-train-{version}-linux-x86_64.tar.gz"
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        cls.folder = Path(holder.name)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", cls.folder / "env"], check=True)
        cls.site, = (cls.folder / "env/lib").glob("python3*/site-packages")
        link_torch(cls.site)
        installed = cls.pip("install", "--no-index", cls.wheel)
        assert installed.returncode == 0, installed.stderr
        cls.path = f"{cls.folder}/env/bin:{SYSTEM_PATH}"

    @classmethod
    def pip(cls, *arguments):
        """pip of the checkout's environment, at work on the new one."""
        command = [sys.executable, "-m", "pip", "--python", cls.folder / "env/bin/python", *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    def assert_refused(self, result, message):
        self.assertEqual((result.returncode, result.stdout), (3, ""), result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertTrue(result.stderr.startswith("ddro-train: error: ["), result.stderr)
        self.assertIn(message, result.stderr)

    def change(self, name, old, new):
        """In a file of the environment, until the test ends."""
        path = self.site / name
        text = path.read_text()
        self.assertIn(old, text)
        path.write_text(text.replace(old, new))
        self.addCleanup(path.write_text, text)

    def hide(self, name):
        path = self.site / name
        path.rename(path.with_name("hidden"))
        self.addCleanup(path.with_name("hidden").rename, path)

    def test_trains_in_another_folder_by_its_name(self):
        work = self.folder / "work"
        shutil.copytree(ROOT / ".cache/fixtures/tiny_run", work)
        (work / "run.yaml").write_text("""
model: {model_name_or_path: model, dtype: float32}
data: {train_files: [pairs_train.jsonl], max_length: 128}
train: {output_dir: run, train_batch_size: 8, max_steps: 3}
eval: {eval_strategy: "no"}
""")
        trained = run("ddro-train", "train", "run.yaml", path=self.path, cwd=work)
        self.assertEqual(trained.returncode, 0, trained.stderr)
        lines = [json.loads(line) for line in (work / "run/metrics.jsonl").read_text().splitlines()]
        self.assertEqual([line["step"] for line in lines if line["kind"] == "train"], [1, 2, 3])
        self.assertTrue((work / "run/final/model.safetensors").is_file())

    def test_reads_parquet_without_pyarrow(self):
        rows = pyarrow.table({"prompt": ["Q:", "Q:"], "chosen": [" yes", " so"], "rejected": [" no", " not"]})
        pyarrow.parquet.write_table(rows, self.folder / "rows.parquet", compression="zstd")
        self.assertFalse((self.site / "pyarrow").exists())
        shown = run("ddro-train", "inspect", "data", self.folder / "rows.parquet", "--model",
                    ROOT / ".cache/fixtures/tiny_run/model", path=self.path, cwd="/")
        self.assertIn("2 read, 2 used", shown.stdout, shown.stderr)

    def test_loads_nothing_from_the_checkout(self):
        program = self.site / "ddro_train/bin/ddro-train"
        loaded = run(program, variables={"LD_TRACE_LOADED_OBJECTS": "1"}, cwd="/")
        paths = [Path(os.path.normpath(path)) for path in re.findall(r"=> (/\S+)", loaded.stdout)]
        self.assertIn(self.site / "torch/lib/libtorch_cpu.so", paths)
        self.assertIn(self.site / "nvidia/cu13/lib/libcudart.so.13", paths)
        of_system = {path.name.split(".so")[0] for path in paths if not path.is_relative_to(self.site)}
        run_time = {"libc", "libm", "libdl", "librt", "libpthread", "libutil", "libgcc_s", "libstdc++"}
        self.assertEqual(of_system - run_time, set())
        self.assertFalse([path for path in paths if path.is_relative_to(ROOT) or path.is_relative_to(INSTALLED)])

    def test_runs_through_a_link(self):
        (self.folder / "linked").symlink_to(self.folder / "env/bin/ddro-train")
        self.assertIn("ddro-train", run(self.folder / "linked", "--version", cwd="/").stdout)

    def test_another_torch_is_one_line(self):
        self.change("torch/version.py", "'2.11.0+cu130'", "'2.10.0+cu130'")
        self.assert_refused(run("ddro-train", "config", path=self.path),
                            "got torch 2.10.0 with CUDA 13.0, expected torch 2.11.0 with CUDA 13.0; pip install torch==2.11.0")

    def test_a_torch_without_cuda_is_one_line(self):
        self.change("torch/version.py", "= '13.0'", "= None")
        self.assert_refused(run("ddro-train", "config", path=self.path), "got torch 2.11.0 with CUDA None, expected")

    def test_pip_knows_which_torch_is_needed(self):
        metadata = self.site / "torch-2.11.0.dist-info/METADATA"
        text = metadata.read_text()
        metadata.unlink()  # a link to the checkout's
        self.addCleanup(metadata.write_text, text)
        metadata.write_text(text.replace("\nVersion: 2.11.0", "\nVersion: 2.10.0"))
        self.assertIn("has requirement torch==2.11.0, but you have torch 2.10.0", self.pip("check").stdout)

    def test_no_torch_is_one_line(self):
        self.hide("torch")
        self.assert_refused(run("ddro-train", "config", path=self.path), f"there is no torch in {self.folder}/env/lib")

    def test_no_cuda_libraries_are_one_line(self):
        self.hide("nvidia")
        self.assert_refused(run("ddro-train", "config", path=self.path), "without the CUDA libraries")

    def test_the_program_itself_knows_another_libtorch(self):
        source, library = self.folder / "other.c", self.folder / "other.so"
        source.write_text("unsigned long aoti_torch_abi_version() { return 2ul << 56 | 10ul << 48; }")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
        self.assert_refused(run("ddro-train", "config", path=self.path, variables={"LD_PRELOAD": str(library)}),
                            "got 2.10.0, expected 2.11.0")

    def test_an_old_c_library_is_one_line(self):
        (self.folder / "old").mkdir()
        getconf = self.folder / "old/getconf"
        getconf.write_text("#!/bin/sh\necho glibc 2.28\n")
        getconf.chmod(0o755)
        result = run("ddro-train", "config", path=f"{self.folder}/old:{self.path}")
        self.assert_refused(result, f"got glibc 2.28, expected glibc 2.{self.newest_glibc()} or newer")

    def newest_glibc(self):
        """Minor version of the newest symbol that the files of the wheel ask for."""
        files = [self.site / "ddro_train/bin/ddro-train", *(self.site / "ddro_train/lib").iterdir()]
        symbols = subprocess.run(["objdump", "-T", *files], capture_output=True, text=True, check=True).stdout
        return max(int(minor) for minor in re.findall(r"GLIBC_2\.(\d+)", symbols))

    def test_the_tag_is_true(self):
        minor = int(re.fullmatch(r".*-py3-none-manylinux_2_(\d+)_x86_64\.whl", self.wheel.name)[1])
        self.assertGreaterEqual(minor, self.newest_glibc())
        own = [int(part) for part in os.confstr("CS_GNU_LIBC_VERSION").split()[1].split(".")]
        self.assertLessEqual([2, minor], own)

    def test_brings_the_licence_of_every_library(self):
        with zipfile.ZipFile(self.wheel) as wheel:
            names = wheel.namelist()
        libraries = [Path(name).name for name in names if re.match(r"ddro_train/lib/.", name)]
        self.assertGreater(len(libraries), 5)
        for library in libraries:
            stem = re.match(r"lib(\w+?)(xx|-\w+)?\.so", library)[1].replace("_", "-").replace("parquet", "arrow")
            self.assertTrue([name for name in names if name.startswith(f"ddro_train/licences/lib{stem}")], library)

    def test_the_tar_file_runs_once_torch_is_beside_it(self):
        (self.folder / "unpacked").mkdir()
        subprocess.run(["tar", "--extract", "--file", self.tar, "--directory", self.folder / "unpacked"], check=True)
        folder, = (self.folder / "unpacked").iterdir()
        self.assert_refused(run(folder / "bin/ddro-train", "--version"), f"there is no torch in {folder}/lib")
        for name in ("torch", "nvidia"):
            (folder / "lib" / name).symlink_to(self.site / name)
        self.assertRegex(run(folder / "bin/ddro-train", "--version").stdout, r"^ddro-train .* LibTorch 2\.11\.0")


if __name__ == "__main__":
    unittest.main()
