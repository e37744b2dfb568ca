// Models of GGUF files against transformers, and the folders that are written of them.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "ddro/models/packed_base.h"
#include "ddro/ops/packed.h"
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

// An adapter on packed weights gives in every bit what it gives on their numbers.
TEST_P(GgufModelParity, AnAdapterLearnsTheSameOnPackedWeights) {
  const auto file = gguf_model(GetParam() + ".gguf");
  const models::ModelFolder numbers = models::open_model_folder(file);
  const models::ModelFolder packed = models::open_packed_folder(file);
  EXPECT_EQ(packed.base_hash, numbers.base_hash);
  const auto sequences = read_expected(gguf_model(GetParam() + ".expected")).sequences;
  for (const auto& [type, dtype] :
       {std::pair(models::AdapterType::kLora, at::kFloat), std::pair(models::AdapterType::kDora, at::kFloat),
        std::pair(models::AdapterType::kLora, at::kBFloat16),
        std::pair(models::AdapterType::kDora, at::kDouble)}) {
    models::AdapterOptions options;
    options.adapter_type = type;
    options.r = 4;
    const auto outcome = [&](const models::ModelFolder& base) {
      models::Adapter adapter = models::make_adapter(options, base.spec, base.tensors, "base", 1, dtype);
      for (auto& [name, tensor] : adapter.tensors) {
        if (name.ends_with(".lora_B.weight"))
          tensor.copy_(at::sin(at::arange(tensor.numel())).view_as(tensor) * 0.05);
      }
      return run(*models::make_causal_lm(base.spec, base.tensors, {.dtype = dtype, .adapter = &adapter}),
                 sharing_prefix(sequences));
    };
    expect_same_bits(outcome(packed), outcome(numbers));
  }
}

size_t num_packed(const models::CausalLm& model) {
  const NamedTensors& parameters = model.parameters();
  return static_cast<size_t>(std::count_if(parameters.begin(), parameters.end(),
                                           [](const auto& named) { return ops::is_packed(named.second); }));
}

TEST(GgufModel, FrozenProductsStayPacked) {
  const models::ModelFolder folder = models::open_packed_folder(gguf_model("qwen2.gguf"));
  models::AdapterOptions lora;
  lora.adapter_type = models::AdapterType::kLora;
  const models::Adapter adapter =
      models::make_adapter(lora, folder.spec, folder.tensors, "base", 1, at::kFloat);
  const models::BuildOptions options{.adapter = &adapter};
  const auto model = models::make_causal_lm(folder.spec, folder.tensors, options);
  EXPECT_EQ(num_packed(*model), 2U * 7 + 1);  // and the embedding, beside a head of its own
  EXPECT_EQ(model->head_weight().scalar_type(), at::kFloat);
  double bytes = 0;
  for (const auto& [name, tensor] : model->parameters()) {
    if (!name.starts_with(models::kAdapterPrefix)) bytes += static_cast<double>(tensor.nbytes());
  }
  EXPECT_EQ(models::bytes_of_base(folder, options), bytes);
}

TEST(GgufModel, TrainedWeightsAreUnpacked) {
  const models::ModelFolder folder = models::open_packed_folder(gguf_model("qwen2.gguf"));
  EXPECT_EQ(num_packed(*models::make_causal_lm(folder.spec, folder.tensors, {})), 0U);
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
