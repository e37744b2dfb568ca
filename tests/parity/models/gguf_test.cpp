// Models of GGUF files against transformers, and the folders that are written of them.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "parity/models/outcome.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

const std::string kGgufModels[] = {"llama", "llama_tied", "llama_plain", "llama_biases", "llama_scaled",
                                   "qwen2", "qwen2_yarn", "qwen3",       "gemma2",       "gemma3"};

std::filesystem::path gguf_model(const std::string& name) { return fixture("gguf_models/" + name); }

class GgufModelParity : public testing::TestWithParam<std::string> {};

TEST_P(GgufModelParity, EqualsTransformers) {
  const models::ModelFolder folder = models::open_model_folder(gguf_model(GetParam() + ".gguf"));
  const Expected expected = read_expected(gguf_model(GetParam() + ".expected"));
  for (const auto& [dtype, tag, tolerance] :
       {std::tuple(at::kDouble, "float64", 1e-10), std::tuple(at::kFloat, "float32", 1e-5)}) {
    const auto model =
        models::make_causal_lm(folder.spec, folder.tensors, {.dtype = dtype, .trainable = false});
    const Outcome got = run(*model, one_by_one(expected.sequences));
    const Outcome right = expected_run(expected, tag);
    ASSERT_EQ(got.logits.size(), right.logits.size());
    for (size_t i = 0; i < got.logits.size(); ++i)
      EXPECT_LE(relative_error(got.logits[i], right.logits[i]), tolerance) << tag << ", sequence " << i;
  }
}

TEST_P(GgufModelParity, AnExportedFolderHoldsTheSame) {
  const TemporaryFolder scratch;
  const models::ModelFolder folder = models::open_model_folder(gguf_model(GetParam() + ".gguf"));
  models::export_model_folder(folder.path, folder.tensors, {}, scratch / "out");
  const models::ModelFolder again = models::open_model_folder(scratch / "out");
  EXPECT_EQ(again.base_hash, folder.base_hash);
  EXPECT_TRUE(std::filesystem::exists(scratch / "out/tokenizer.json"));
}

// One program for all: it takes longer to start than to compare. What transformers leaves out of a GGUF file
// is not compared.
TEST(GgufExport, TransformersReadsTheSameModels) {
  const TemporaryFolder scratch;
  const auto root = environment_path("DDRO_SOURCE_DIR");
  std::vector<std::string> command = {(root / ".venv/bin/python").string(),
                                      (root / "tests/parity/models/check_export.py").string(), "0"};
  for (const std::string& name : kGgufModels) {
    if (name == "llama_biases" || name == "llama_scaled" || name == "qwen2_yarn") continue;
    const auto source = gguf_model(name + ".gguf");
    models::export_model_folder(source, models::open_model_folder(source).tensors, {}, scratch / name);
    command.insert(command.end(), {source.string(), (scratch / name).string()});
  }
  const ProgramResult result = run_program(command);
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
}

INSTANTIATE_TEST_SUITE_P(Models, GgufModelParity, testing::ValuesIn(kGgufModels),
                         [](const auto& each) { return each.param; });

}  // namespace
}  // namespace ddro::test
