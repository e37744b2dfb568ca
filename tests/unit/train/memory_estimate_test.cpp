#include "ddro/train/memory_estimate.h"

#include <gtest/gtest.h>

namespace ddro::train {
namespace {

// The shape of Llama 3.1 8B.
models::ModelConfig llama_8b() {
  models::ModelConfig config;
  config.model_type = "llama";
  config.vocab_size = 128256;
  config.hidden_size = 4096;
  config.intermediate_size = 14336;
  config.num_hidden_layers = 32;
  config.num_attention_heads = 32;
  config.num_key_value_heads = 8;
  config.head_dim = 128;
  config.tie_word_embeddings = false;
  return config;
}

// One micro-batch of unshared sequences, three quarters of each a completion.
data::StepPlan plan_of(std::int64_t num_sequences, std::int64_t length) {
  data::PackedBatch batch;
  for (std::int64_t i = 0; i < num_sequences; ++i) batch.segments.push_back({i * length, length, -1, 0});
  batch.ids_T.resize(static_cast<size_t>(num_sequences * length));
  batch.targets_C.resize(batch.ids_T.size() * 3 / 4);
  data::StepPlan plan;
  plan.micro_batches.push_back(std::move(batch));
  return plan;
}

// configs/llama_8b.yaml.
MemoryModel recipe() {
  MemoryModel model;
  model.config = llama_8b();
  model.num_parameters = 8'030'261'248;
  model.dtype = at::kBFloat16;
  model.moment_dtype = MomentDType::kFloat8;
  model.device = at::kCUDA;
  model.gradient_checkpointing = true;
  return model;
}

TEST(MemoryEstimate, RecipeFor8BFitsOneH200) {
  constexpr double kH200 = 141e9;
  const MemoryEstimate estimate = estimate_memory(recipe(), plan_of(4, 4096));
  EXPECT_NEAR(estimate.weights, 8'030'261'248.0 * (2 + 4 + 4 + 2), 0.1e9);
  EXPECT_LT(estimate.peak(), 0.9 * kH200);

  MemoryModel plain = recipe();
  plain.moment_dtype = MomentDType::kFloat32;
  EXPECT_GT(estimate_memory(plain, plan_of(4, 4096)).peak(), kH200);
}

TEST(MemoryEstimate, LogitsStayBoundedWhileTokensAndVocabularyGrow) {
  MemoryModel model = recipe();
  const double logits = estimate_memory(model, plan_of(4, 4096)).head;
  EXPECT_LE(estimate_memory(model, plan_of(32, 4096)).head, logits);
  model.config.vocab_size *= 2;
  EXPECT_LE(estimate_memory(model, plan_of(4, 4096)).head, 1.05 * logits);
}

TEST(MemoryEstimate, ActivationsGrowWithTheMicroBatch) {
  const double small = estimate_memory(recipe(), plan_of(1, 4096)).activations;
  EXPECT_DOUBLE_EQ(estimate_memory(recipe(), plan_of(4, 4096)).activations, 4 * small);
}

}  // namespace
}  // namespace ddro::train
