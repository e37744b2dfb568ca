"""scripts/check_layers finds each kind of violation, and nothing in a tree without any.

    python3 tests/scripts/check_layers_test.py
"""

import importlib.util
import re
import subprocess
import sys
import tempfile
import unittest
from importlib.machinery import SourceFileLoader
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/check_layers"

CLEAN = {
    "include/ddro/base/error.h": "#include <string>",
    "include/ddro/base/tensor.h": "#include <ATen/core/Tensor.h>",
    "include/ddro/losses/objective_options.h": "#include <optional>",
    "include/ddro/models/model.h": '#include "ddro/base/tensor.h"',
    "include/ddro/text/tokenizer.h": '#include "ddro/base/error.h"',
    "src/base/log.cpp": "#include <spdlog/spdlog.h>",
    "src/models/model.cpp": '#include <torch/torch.h>\n#include "ddro/models/model.h"\n#include "helper.h"',
    "src/models/helper.h": '#include "ddro/base/tensor.h"',
    "src/config/run_config.cpp": '#include "ddro/losses/objective_options.h"',
    "src/cli/main.cpp": '#include "ddro/models/model.h"\n#include "ddro/text/tokenizer.h"',
    "src/ops/cuda/head_kernel.h": "#include <cstdint>",
    "src/ops/cuda/head_kernel.cu": '#include "ops/cuda/head_kernel.h"\n#include <cuda_runtime.h>',
}


def run(files):
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            path = Path(root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        done = subprocess.run([sys.executable, SCRIPT, root], capture_output=True, text=True)
        return done.returncode, done.stdout


def table_of_script():
    loader = SourceFileLoader("check_layers", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_layers", loader))
    loader.exec_module(module)
    return module.ALLOWED


def table_of_document():
    """Module -> modules it includes, from the layer table of docs/architecture.md."""
    table = {}
    for line in (ROOT / "docs/architecture.md").read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"\| \d \| `(\w+)` \|.*\|([^|]*)\|", line):
            table[match[1]] = set(re.findall(r"\w+", match[2]))
    table["cli"] = set(table) - {"cli"}  # "everything"
    table["config"] = {"base"}  # and the options' headers
    return table


class CheckLayers(unittest.TestCase):
    def assert_found(self, name, text, expected):
        code, output = run({**CLEAN, name: text})
        self.assertEqual(code, 1, output)
        self.assertIn(expected, output)

    def test_has_the_table_of_the_document(self):
        self.assertEqual(table_of_script(), table_of_document())

    def test_accepts_a_clean_tree(self):
        code, output = run(CLEAN)
        self.assertEqual(code, 0, output)
        self.assertIn("12 files, 0 violations", output)

    def test_finds_an_upward_include(self):
        self.assert_found("src/text/a.cpp", '#include "ddro/models/model.h"', "src/text/a.cpp:1: text includes")

    def test_finds_an_include_of_another_modules_private_header(self):
        self.assert_found("src/losses/a.cpp", '\n#include "models/helper.h"', "src/losses/a.cpp:2: losses includes")

    def test_finds_config_including_more_than_options(self):
        self.assert_found("src/config/a.cpp", '#include "ddro/text/tokenizer.h"', "config includes")

    def test_finds_spdlog_outside_of_the_log(self):
        self.assert_found("src/models/a.cpp", "#include <spdlog/spdlog.h>", "only src/base/log.cpp includes spdlog")

    def test_finds_torch_in_a_torch_free_module(self):
        self.assert_found("src/data/a.cpp", "#include <torch/torch.h>", "module data must not see LibTorch")

    def test_finds_torch_behind_another_header(self):
        self.assert_found(
            "src/losses/a.cpp",
            '#include "ddro/base/tensor.h"',
            "src/losses/a.cpp -> include/ddro/base/tensor.h -> ATen/core/Tensor.h",
        )

    def test_finds_torch_in_a_kernel(self):
        self.assert_found("src/ops/cuda/a.cu", "#include <ATen/ATen.h>", "CUDA sources must not see LibTorch")

    def test_finds_the_whole_of_torch_in_a_header(self):
        self.assert_found("include/ddro/ops/a.h", "#include <torch/torch.h>", "torch/torch.h is for .cpp files")

    def test_finds_an_unknown_module_and_a_missing_header(self):
        self.assert_found("src/magic/a.cpp", "", "module magic is not in the layer table")
        self.assert_found("src/text/a.cpp", '#include "ddro/base/absent.h"', "ddro/base/absent.h does not exist")


if __name__ == "__main__":
    unittest.main()
