#include "ddro/train/memory_estimate.h"

#include <gtest/gtest.h>

#include "ddro/models/model_config.h"

namespace ddro::train {
namespace {

// The shape of Llama 3.1 8B.
models::ModelSpec llama_8b() {
  return models::parse_model_config({{"model_type", "llama"},
                                     {"vocab_size", 128256},
                                     {"hidden_size", 4096},
                                     {"intermediate_size", 14336},
                                     {"num_hidden_layers", 32},
                                     {"num_attention_heads", 32},
                                     {"num_key_value_heads", 8}},
                                    "llama_8b");
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
  model.spec = llama_8b();
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

// Weights in bfloat16, float32 gradients; masters and 8-bit moments, with an exponent for each 256 numbers.
TEST(MemoryEstimate, CountsTheRanksPartsOfMastersAndMoments) {
  MemoryModel model = recipe();
  model.num_ranks = 8;
  constexpr double kParameters = 8'030'261'248, kMoment = 1 + 1.0 / 256;
  EXPECT_DOUBLE_EQ(estimate_memory(model, plan_of(4, 4096)).weights, kParameters * (2 + 4 + 4 + 2 * kMoment));
  model.shard = dist::Shard::kOptimizer;
  EXPECT_DOUBLE_EQ(estimate_memory(model, plan_of(4, 4096)).weights,
                   kParameters * (2 + 4 + (4 + 2 * kMoment) / 8));
  model.num_ranks = 1;
  EXPECT_DOUBLE_EQ(estimate_memory(model, plan_of(4, 4096)).weights, kParameters * (2 + 4 + 4 + 2 * kMoment));
}

// In the last layer the gradient of a head of its own is added up from a copy, which takes the head one and
// an eighth times more; and another layer comes, in two copies, an eighth of it sent.
TEST(MemoryEstimate, CountsTheRanksPartsOfEverythingAndWhatIsGathered) {
  MemoryModel model = recipe();
  model.num_ranks = 8;
  model.shard = dist::Shard::kFull;
  constexpr double kParameters = 8'030'261'248, kMoment = 1 + 1.0 / 256, kHead = 128256.0 * 4096 + 4096;
  const MemoryEstimate estimate = estimate_memory(model, plan_of(4, 4096));
  EXPECT_DOUBLE_EQ(estimate.weights, kParameters * (2 + 4 + 4 + 2 * kMoment) / 8);
  const double layer = 2.0 * 4096 * (4096 + 1024) + 3.0 * 4096 * 14336 + 2 * 4096;
  const double in_use = layer * (2 + 4) + layer * 2 * (2 + 1.0 / 8), sum = 4 * (2 + 1.0 / 8);
  EXPECT_DOUBLE_EQ(estimate.gathered, in_use + kHead * sum);
  EXPECT_EQ(estimate.exchange, 0);
  // The gradient of a head that is tied waits for the embedding's, while those of the layers are added up.
  model.spec.tie_word_embeddings = true;
  EXPECT_DOUBLE_EQ(estimate_memory(model, plan_of(4, 4096)).gathered, in_use + kHead * 4 + layer * sum);
}

// The frozen base as it lies, and the largest weight (a feed-forward's) as float32 and as bfloat16.
TEST(MemoryEstimate, CountsAPackedBase) {
  MemoryModel model = recipe();
  model.adapter.emplace();
  const MemoryEstimate unpacked = estimate_memory(model, plan_of(4, 4096));
  EXPECT_DOUBLE_EQ(unpacked.weights, 8'030'261'248.0 * 2);
  model.packed_bytes = 5e9;
  const MemoryEstimate packed = estimate_memory(model, plan_of(4, 4096));
  EXPECT_DOUBLE_EQ(packed.weights, 5e9);
  EXPECT_DOUBLE_EQ(packed.activations, unpacked.activations + 4096.0 * 14336 * 2);
  model.live_reference = true;
  EXPECT_DOUBLE_EQ(estimate_memory(model, plan_of(4, 4096)).weights, 5e9 + 8'030'261'248.0 * 2);
  model.packed_reference_bytes = 6e9;
  EXPECT_DOUBLE_EQ(estimate_memory(model, plan_of(4, 4096)).weights, 5e9 + 6e9);
}

// 4 norm and product inputs, queries and the feed-forward's two a token; queries, keys and values of the
// attention with its results and sums; behind them the backward of one feed-forward, and the outputs.
TEST(MemoryEstimate, CountsWhatEachLayerKeeps) {
  MemoryModel model = recipe();
  model.gradient_checkpointing = false;
  const data::StepPlan plan = plan_of(1, 100);
  const double layer = 100.0 * (4 * 4096 + 4096 + 2 * 14336) + 100.0 * (2 * 4096 + 32) + 100.0 * 2 * 1024;
  const double backward = 100.0 * (4 * 14336 + 3 * 4096), outputs = 3 * 75.0 * 4096;
  EXPECT_DOUBLE_EQ(estimate_memory(model, plan).activations, 2 * (32 * layer + backward + outputs));
  model.gradient_checkpointing = true;
  EXPECT_DOUBLE_EQ(estimate_memory(model, plan).activations,
                   2 * (32 * 100.0 * 4096 + layer + backward + outputs));
  model.spec.layers.pop_back();
  EXPECT_DOUBLE_EQ(estimate_memory(model, plan).activations,
                   2 * (31 * 100.0 * 4096 + layer + backward + outputs));
}

// On the CPU in float32 queries, keys and values are kept as they are, and with a soft cap as they are
// padded, here to their own length, with a result of its own.
TEST(MemoryEstimate, CountsAttentionByBlocks) {
  MemoryModel model = recipe();
  model.gradient_checkpointing = false;
  model.device = at::kCPU;
  model.dtype = at::kFloat;
  const data::StepPlan plan = plan_of(2, 100);
  const double layer = 200.0 * (4 * 4096 + 4096 + 2 * 14336) + 200.0 * (4096 + 2 * 1024 + 32);
  const double backward = 200.0 * (4 * 14336 + 3 * 4096), outputs = 3 * 150.0 * 4096;
  EXPECT_DOUBLE_EQ(estimate_memory(model, plan).activations, 4 * (32 * layer + backward + outputs));
  model.dtype = at::kBFloat16;  // and beside what it has of it all copies in float32, of the result too
  const double unpacked = estimate_memory(model, plan_of(0, 0)).activations;
  const double copies = 200.0 * (2 * (2 * 4096 + 2 * 1024 + 32) - (4096 + 2 * 1024 + 32));
  EXPECT_DOUBLE_EQ(estimate_memory(model, plan).activations,
                   2 * (32 * (layer + copies) + backward + outputs) + unpacked);
  model.dtype = at::kFloat;
  for (models::LayerSpec& each : model.spec.layers) each.attention.softcap = 50;
  EXPECT_DOUBLE_EQ(estimate_memory(model, plan).activations,
                   4 * (32 * (layer + 200.0 * 4096) + backward + outputs));
}

// Low-rank factors on the query and the down projection of every layer: inputs of frozen products are not
// kept, nor are gradients and moments of their weights.
TEST(MemoryEstimate, CountsWhatAnAdapterTrains) {
  MemoryModel model = recipe();
  model.gradient_checkpointing = false;
  model.adapter.emplace().dora = true;
  for (const models::LayerSpec& layer : model.spec.layers) {
    for (const models::LinearSpec* linear : {&layer.attention.query, &layer.feed_forward.down})
      model.adapter->linears.push_back({*linear, 16, 2.0});
  }
  const data::StepPlan plan = plan_of(1, 100);
  const double beside = 2 * (16 + 4096);
  const double layer = 100.0 * (3 * 4096 + 2 * 14336 + beside) + 100.0 * (2 * 4096 + 32) + 100.0 * 2 * 1024;
  const double backward = 100.0 * (4 * 14336 + 3 * 4096), outputs = 3 * 75.0 * 4096;
  EXPECT_DOUBLE_EQ(estimate_memory(model, plan).activations, 2 * (32 * layer + backward + outputs));
  const double trained = 32.0 * (16 * (4096 + 4096) + 4096 + 16 * (14336 + 4096) + 4096);
  EXPECT_NEAR(estimate_memory(model, plan).weights, 2 * 8'030'261'248.0 + trained * (2 + 4 + 4 + 2), 1e6);
  // The base in parts, and of what is trained masters and moments.
  model.num_ranks = 4;
  model.shard = dist::Shard::kFull;
  EXPECT_NEAR(estimate_memory(model, plan).weights,
              2 * 8'030'261'248.0 / 4 + trained * (2 + 4 + (4 + 2) / 4.0), 1e6);
}

// The router's input and logits; of two experts a token the inputs, gate, up and results; the shared expert
// likewise, behind a gate of one number.
TEST(MemoryEstimate, CountsTheExpertsOfAToken) {
  MemoryModel model;
  model.spec = models::parse_model_config({{"model_type", "qwen2_moe"},
                                           {"vocab_size", 1000},
                                           {"hidden_size", 64},
                                           {"num_hidden_layers", 1},
                                           {"num_attention_heads", 4},
                                           {"num_key_value_heads", 4},
                                           {"num_experts", 8},
                                           {"num_experts_per_tok", 2},
                                           {"moe_intermediate_size", 24},
                                           {"shared_expert_intermediate_size", 40}},
                                          "mixture");
  model.device = at::kCUDA;
  const double mixture = 64 + 2 * 8 + 2 * (64 + 2 * 24 + 64) + (64 + 2 * 40 + 64);
  const double attention = 2 * 64 + 64 + 64 + (2 * 64 + 4) + 2 * 64;
  const double backward = 4 * (2 * 24 + 40) + 3 * 64;
  EXPECT_DOUBLE_EQ(estimate_memory(model, plan_of(1, 100)).activations,
                   4 * (100 * (mixture + attention + backward) + 3 * 75.0 * 64));
}

TEST(MemoryEstimate, LogitsStayBoundedWhileTokensAndVocabularyGrow) {
  MemoryModel model = recipe();
  const double logits = estimate_memory(model, plan_of(4, 4096)).head;
  EXPECT_LE(estimate_memory(model, plan_of(32, 4096)).head, logits);
  model.spec.vocab_size *= 2;
  EXPECT_LE(estimate_memory(model, plan_of(4, 4096)).head, 1.05 * logits);
}

// Float32 masters and two moments of 8 bits and a share of their blocks' exponents.
TEST(MemoryEstimate, CountsTheCopyOfACheckpointWhereItLies) {
  MemoryModel model = recipe();
  const double before = estimate_memory(model, plan_of(1, 100)).peak();
  model.copies_checkpoints = true;
  EXPECT_EQ(estimate_memory(model, plan_of(1, 100)).peak(), before) << "a GPU's is in the host's memory";
  EXPECT_NEAR(checkpoint_bytes(model), 8'030'261'248.0 * (4 + 2), 0.1e9);
  model.device = at::kCPU;
  EXPECT_EQ(estimate_memory(model, plan_of(1, 100)).copy, checkpoint_bytes(model));
}

TEST(MemoryEstimate, ActivationsGrowWithTheMicroBatch) {
  const double small = estimate_memory(recipe(), plan_of(1, 4096)).activations;
  EXPECT_DOUBLE_EQ(estimate_memory(recipe(), plan_of(4, 4096)).activations, 4 * small);
}

}  // namespace
}  // namespace ddro::train
