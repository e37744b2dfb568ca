"""scripts/check_layers finds each kind of violation, and nothing in a tree without any.

    python3 tests/scripts/check_layers_test.py
"""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/check_layers"

DOCUMENT = """# Architecture
| layer | module | does | includes |
| --- | --- | --- | --- |
| 0 | `base` | errors | |
| 1 | `ops` | tensor functions | base |
| 2 | `text` | tokenizers | base |
| 2 | `losses` | losses | base |
| 2 | `models` | ids to hidden states | ops, base |
| 3 | `train` | a step | models, losses, base |
| 4 | `config` | settings | `*_options.h` of every module, base |
| 5 | `run` | a run | config, train and below |
| 6 | `cli` | commands | everything |

Read this. `base` apart from `tensor.h` and `tensor_io`, `text`,
`losses` and `config` never see LibTorch: they are quick. `models` does.
"""

CLEAN = {
    "docs/architecture.md": DOCUMENT,
    "include/ddro/base/error.h": "#include <string>",
    "include/ddro/base/tensor.h": "#include <ATen/core/Tensor.h>",
    "include/ddro/base/tensor_io.h": '#include "ddro/base/tensor.h"',
    "include/ddro/losses/objective_options.h": "#include <optional>\nstruct ObjectiveOptions {};",
    "include/ddro/models/model.h": '#include "ddro/base/tensor.h"',
    "include/ddro/text/tokenizer.h": '#include "ddro/base/error.h"',
    "src/base/log.cpp": "#include <spdlog/spdlog.h>",
    "src/models/model.cpp": '#include <ATen/ATen.h>\n#include "ddro/models/model.h"\n#include "helper.h"',
    "src/models/helper.h": '#include "ddro/base/tensor.h"',
    "src/config/run_config.cpp": '#include "ddro/losses/objective_options.h"\nlosses::ObjectiveOptions options;',
    "src/losses/sft.cpp": """namespace ddro::losses {
// text::Tokenizer knows nothing of /* models::CausalLm
const char* name = "models::CausalLm"; char quote = '"'; torch::text::f(); std::losses::x();
}  // namespace ddro::losses""",
    "src/run/run.cpp": '#include "ddro/models/model.h"\nddro::losses::f(); ops::g(); train::h();',
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
        return done.returncode, done.stdout + done.stderr


class CheckLayers(unittest.TestCase):
    def assert_found(self, name, text, expected):
        code, output = run({**CLEAN, name: text})
        self.assertEqual(code, 1, output)
        self.assertIn(expected, output)

    def test_accepts_a_clean_tree(self):
        code, output = run(CLEAN)
        self.assertEqual(code, 0, output)
        self.assertIn("15 files, 0 violations", output)

    def test_finds_an_upward_include(self):
        self.assert_found("src/text/a.cpp", '#include "ddro/models/model.h"', "src/text/a.cpp:1: text includes")

    def test_finds_an_include_of_another_modules_private_header(self):
        self.assert_found("src/losses/a.cpp", '\n#include "models/helper.h"', "src/losses/a.cpp:2: losses includes")

    def test_finds_the_name_of_a_module_that_may_not_be_included(self):
        self.assert_found("src/losses/a.cpp", "\nint f(models::CausalLm&);", "a.cpp:2: losses names models::CausalLm")
        self.assert_found("include/ddro/text/a.h", "ddro::losses::f();", "include/ddro/text/a.h:1: text names losses::f")
        self.assert_found("src/train/a.cpp", 'auto x = "a" + text::decode();', "train names text::decode")

    def test_finds_a_declaration_in_the_namespace_of_such_a_module(self):
        self.assert_found("src/text/a.cpp", "namespace ddro::models {\nclass CausalLm;\n}", "a.cpp:1: text names models")

    def test_finds_config_using_more_than_options(self):
        self.assert_found("src/config/a.cpp", '#include "ddro/text/tokenizer.h"', "config includes")
        self.assert_found("src/config/a.cpp", "losses::make_objective();", "config names losses::make_objective")

    def test_knows_what_and_below_leaves_out(self):
        self.assert_found("src/run/a.cpp", '#include "ddro/text/tokenizer.h"', "run includes ddro/text/tokenizer.h")

    def assert_refused(self, document, expected):
        code, output = run({**CLEAN, "docs/architecture.md": document})
        self.assertEqual(code, 1, output)
        self.assertIn(expected, output)

    def test_refuses_a_table_with_an_upward_or_unknown_include(self):
        upward = DOCUMENT.replace("tensor functions | base |", "tensor functions | models |")
        self.assert_refused(upward, "ops includes models, no module of its layer or below")
        unknown = DOCUMENT.replace("tensor functions | base |", "tensor functions | bse |")
        self.assert_refused(unknown, "ops includes bse, no module of its layer or below")

    def test_refuses_a_document_without_what_it_needs(self):
        self.assert_refused("# Architecture", "holds no layer table")
        self.assert_refused(DOCUMENT.replace("never see", "may see"), "does not say which modules never see LibTorch")

    def test_finds_spdlog_outside_of_the_log(self):
        self.assert_found("src/models/a.cpp", "#include <spdlog/spdlog.h>", "only src/base/log.cpp includes spdlog")

    def test_finds_torch_in_a_torch_free_module(self):
        self.assert_found("src/text/a.cpp", "#include <torch/torch.h>", "module text must not see LibTorch")

    def test_finds_torch_behind_another_header(self):
        self.assert_found(
            "src/losses/a.cpp",
            '#include "ddro/base/tensor.h"',
            "src/losses/a.cpp -> include/ddro/base/tensor.h -> ATen/core/Tensor.h",
        )

    def test_finds_torch_in_a_kernel(self):
        self.assert_found("src/ops/cuda/a.cu", "#include <ATen/ATen.h>", "CUDA sources must not see LibTorch")

    def test_finds_all_tensor_functions_in_a_header(self):
        self.assert_found("include/ddro/ops/a.h", "#include <ATen/ATen.h>", "ATen/ATen.h is for .cpp files")

    def test_finds_the_whole_of_torch(self):
        for name in ("src/ops/a.cpp", "tests/unit/ops/a_test.cpp", "benchmarks/a.cpp"):
            self.assert_found(name, "#include <torch/torch.h>", f"{name}:1: torch/torch.h takes")

    def test_finds_an_unknown_module_and_a_missing_header(self):
        self.assert_found("src/magic/a.cpp", "", "module magic is not in the layer table")
        self.assert_found("src/text/a.cpp", '#include "ddro/base/absent.h"', "ddro/base/absent.h does not exist")


if __name__ == "__main__":
    unittest.main()
