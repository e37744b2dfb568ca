// Adapters of PEFT's folders: forward and gradients against peft, and the folders that we write as peft and
// transformers read them.
#include "ddro/models/adapter.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>

#include "ddro/models/model_folder.h"
#include "ddro/models/packed_base.h"
#include "parity/models/outcome.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

namespace fs = std::filesystem;

fs::path adapter_fixture(const std::string& name) {
  return environment_path("DDRO_FIXTURES") / "adapters" / name;
}
Expected expected_of(const std::string& name) { return read_expected(adapter_fixture(name + ".expected")); }

struct Trainable {
  models::ModelFolder folder;
  std::unique_ptr<models::CausalLm> model;
};

Trainable load(const std::string& name, at::ScalarType dtype, bool checkpointing = false,
               bool keep_stored_dtype = false) {
  Trainable result;
  result.folder = models::open_model_folder(adapter_fixture(name));
  result.model = models::make_causal_lm(result.folder.spec, result.folder.tensors,
                                        {.dtype = dtype,
                                         .trainable = true,
                                         .adapter = &*result.folder.adapter,
                                         .keep_stored_dtype = keep_stored_dtype,
                                         .gradient_checkpointing = checkpointing});
  return result;
}

void expect_near(const Outcome& got, const Outcome& expected, double tolerance) {
  ASSERT_EQ(got.logits.size(), expected.logits.size());
  for (size_t i = 0; i < got.logits.size(); ++i)
    EXPECT_LE(relative_error(got.logits[i], expected.logits[i]), tolerance) << "logits of sequence " << i;
  ASSERT_EQ(got.gradients.size(), expected.gradients.size());
  for (const auto& [name, gradient] : expected.gradients)
    EXPECT_LE(relative_error(got.gradients.at(name), gradient), tolerance) << "gradient of " << name;
}

class AdapterParity : public testing::TestWithParam<std::string> {
 protected:
  Expected expected_ = expected_of(GetParam());
};

// The gradients are those of the adapter's tensors alone: nothing is computed for a frozen weight.
TEST_P(AdapterParity, EqualsPeftInFloat64) {
  const Trainable trainable = load(GetParam(), at::kDouble);
  expect_near(run(*trainable.model, one_by_one(expected_.sequences)), expected_run(expected_, "float64"),
              1e-10);
  EXPECT_EQ(run(*trainable.model, {}).gradients.size(), trainable.folder.adapter->tensors.size());
}

TEST_P(AdapterParity, EqualsPeftInFloat32) {
  expect_near(run(*load(GetParam(), at::kFloat).model, one_by_one(expected_.sequences)),
              expected_run(expected_, "float32"), 1e-5);
}

TEST_P(AdapterParity, PackingAndRecomputationChangeNothing) {
  const Outcome alone = run(*load(GetParam(), at::kDouble).model, one_by_one(expected_.sequences));
  const auto batches = sharing_prefix(expected_.sequences);
  const Outcome packed = run(*load(GetParam(), at::kDouble).model, batches);
  expect_near(packed, alone, 1e-12);
  expect_same_bits(run(*load(GetParam(), at::kDouble, /*checkpointing=*/true).model, batches), packed);
}

TEST_P(AdapterParity, MergedWeightsComputeTheSame) {
  const models::ModelFolder folder = models::open_model_folder(adapter_fixture(GetParam()));
  for (const auto& [dtype, tolerance] : {std::pair(at::kDouble, 1e-12), std::pair(at::kFloat, 1e-5)}) {
    const models::ModelFolder merged = models::merge_adapter(folder, dtype);
    const auto model =
        models::make_causal_lm(merged.spec, merged.tensors, {.dtype = dtype, .trainable = false});
    const Outcome got = run(*model, one_by_one(expected_.sequences));
    const Outcome expected = expected_run(expected_, dtype == at::kDouble ? "float64" : "float32");
    for (size_t i = 0; i < got.logits.size(); ++i)
      EXPECT_LE(relative_error(got.logits[i], expected.logits[i]), tolerance) << "logits of sequence " << i;
  }
}

ProgramResult check_with_python(const std::vector<std::string>& arguments) {
  const fs::path root = environment_path("DDRO_SOURCE_DIR");
  std::vector<std::string> command = {(root / ".venv/bin/python").string(),
                                      (root / "tests/parity/models/check_adapter.py").string()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_program(command);
}

const std::vector<std::string> kAdapters = {"lora",
                                            "rslora",
                                            "dora",
                                            "patterns",
                                            "regular_expression",
                                            "one_layer",
                                            "saved",
                                            "tied_head",
                                            "tied_embedding",
                                            "bfloat16_lora",
                                            "bfloat16_dora",
                                            "fused_lora",
                                            "transposed_lora",
                                            "transposed_dora",
                                            "mixture_lora",
                                            "mixture_dora",
                                            "stacked_lora",
                                            "bloom_lora",
                                            "hybrid_lora"};

INSTANTIATE_TEST_SUITE_P(Adapters, AdapterParity, testing::ValuesIn(kAdapters),
                         [](const auto& each) { return each.param; });

// What we write, as peft reads it; and the merged model, as transformers does. One program for all of them:
// it takes longer to start than to compare.
TEST(AdapterFiles, AreReadByPeftAndMergedByTransformers) {
  const TemporaryFolder scratch;
  std::vector<std::string> arguments;
  for (const std::string& name : kAdapters) {
    const Trainable trainable = load(name, at::kFloat);
    const models::ModelFolder& folder = trainable.folder;
    NamedTensors trained;
    for (const auto& [key, tensor] : trainable.model->parameters()) {
      if (tensor.requires_grad()) trained.emplace_back(key, tensor);
    }
    const fs::path separate = scratch / (name + "_separate"), merged = scratch / (name + "_merged");
    models::export_adapter_folder(folder, *folder.adapter, trained, {}, separate);
    models::export_model_folder(folder.path, models::merge_adapter(folder, at::kFloat).tensors, {}, merged);
    arguments.insert(arguments.end(), {folder.path.string(), adapter_fixture(name).string(),
                                       separate.string(), merged.string()});
  }
  const ProgramResult result = check_with_python(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
}

// A base is of a shorter type than float64, and two of them than float32.
class StoredBase : public testing::TestWithParam<std::string> {};

TEST_P(StoredBase, ComputesWhatTheWidenedOneDoesInEveryBit) {
  const std::vector<Packed> batches = sharing_prefix(expected_of(GetParam()).sequences);
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    const auto outcome = [&](bool keep_stored_dtype) {
      return run(*load(GetParam(), dtype, /*checkpointing=*/false, keep_stored_dtype).model, batches);
    };
    expect_same_bits(outcome(true), outcome(false));
  }
}

INSTANTIATE_TEST_SUITE_P(Adapters, StoredBase, testing::ValuesIn(kAdapters),
                         [](const auto& each) { return each.param; });

TEST(BaseInBfloat16, StaysSoWhereAProductReadsIt) {
  const Trainable kept = load("bfloat16_dora", at::kFloat, /*checkpointing=*/false,
                              /*keep_stored_dtype=*/true);
  double bytes = 0;
  for (const auto& [name, weight] : kept.model->parameters()) {
    if (name.starts_with(models::kAdapterPrefix)) continue;
    const bool is_read_by_product = name.ends_with("_proj.weight") || name == "model.embed_tokens.weight";
    EXPECT_EQ(weight.scalar_type(), is_read_by_product ? at::kBFloat16 : at::kFloat) << name;
    bytes += static_cast<double>(weight.nbytes());
  }
  EXPECT_EQ(models::bytes_of_base(kept.folder, {.adapter = &*kept.folder.adapter, .keep_stored_dtype = true}),
            bytes);
}

class NewAdapter : public testing::TestWithParam<models::AdapterType> {};

// Before its first step it computes what the base does, in every bit.
TEST_P(NewAdapter, ChangesNothing) {
  const models::ModelFolder base = models::open_model_folder(adapter_fixture("base"));
  models::AdapterOptions options;
  options.adapter_type = GetParam();
  options.r = 4;
  options.modules_to_save = {"lm_head"};
  const Packed batch = sharing_prefix(expected_of("lora").sequences)[0];
  const at::NoGradGuard no_grad;
  for (const auto dtype : {at::kDouble, at::kFloat, at::kBFloat16}) {
    const models::Adapter adapter = models::make_adapter(options, base.spec, base.tensors, "base", 42, dtype);
    const auto plain = models::make_causal_lm(base.spec, base.tensors, {.dtype = dtype, .trainable = false});
    const auto adapted = models::make_causal_lm(base.spec, base.tensors,
                                                {.dtype = dtype, .trainable = true, .adapter = &adapter});
    const auto expected = logits_of(*plain, batch), got = logits_of(*adapted, batch);
    for (size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(at::equal(got[i], expected[i])) << dtype << " " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, NewAdapter,
                         testing::Values(models::AdapterType::kLora, models::AdapterType::kDora),
                         [](const auto& each) { return enum_name(each.param); });

}  // namespace
}  // namespace ddro::test
