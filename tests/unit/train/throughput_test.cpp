#include "ddro/train/throughput.h"

#include <gtest/gtest.h>

#include "support/tiny_model.h"

namespace ddro::train {
namespace {

// A prompt of 3 tokens, and two completions of 2 and 4 that see it; 5 positions are asked for.
data::StepPlan plan() {
  data::PackedBatch batch;
  batch.segments = {{0, 3, -1, 0}, {3, 2, 0, 3}, {5, 4, 0, 3}};
  batch.ids_T.resize(9);
  batch.targets_C.resize(5);
  data::StepPlan plan;
  plan.micro_batches.push_back(std::move(batch));
  return plan;
}

constexpr double kVisibleKeys = (1 + 2 + 3) + (4 + 5) + (4 + 5 + 6 + 7);
constexpr double kWidth = 32, kInner = 48, kKeys = 16, kIds = 97;
constexpr double kLayerWeights = 2 * kWidth * kWidth + 2 * kWidth * kKeys + 3 * kWidth * kInner;
constexpr double kHead = 2 * kWidth * kIds * 5;

TEST(Flops, AreThoseOfProductsAttentionAndHead) {
  models::ModelSpec spec = test::tiny_spec();
  const double layer = 2 * kLayerWeights * 9 + 4 * kWidth * kVisibleKeys;
  EXPECT_DOUBLE_EQ(forward_flops(spec, plan()), 2 * layer + kHead);
  EXPECT_DOUBLE_EQ(step_flops(spec, nullptr, plan(), /*live_reference=*/false), 3 * (2 * layer + kHead));
  EXPECT_DOUBLE_EQ(step_flops(spec, nullptr, plan(), /*live_reference=*/true), 4 * (2 * layer + kHead));
}

// Behind frozen weights only the gradient of the input is computed; all of the adapter's own products are.
TEST(Flops, LeaveOutTheGradientsOfFrozenWeights) {
  const models::ModelSpec spec = test::tiny_spec();
  models::AdapterSpec adapter;
  adapter.linears = {{spec.layers[1].feed_forward.up, 4, 2.0}};
  const double forward = forward_flops(spec, plan()), own = 2 * 4 * (kWidth + kInner) * 9;
  EXPECT_DOUBLE_EQ(step_flops(spec, &adapter, plan(), /*live_reference=*/false), 2 * forward + 3 * own);
  EXPECT_DOUBLE_EQ(step_flops(spec, &adapter, plan(), /*live_reference=*/true), 3 * forward + 3 * own);
}

TEST(Flops, CountEachLayerByItself) {
  models::ModelSpec spec = test::tiny_spec();
  const double both = forward_flops(spec, plan());
  models::LayerSpec& last = spec.layers.back();
  last.feed_forward.gate.out += 8;
  last.attention.query.bias = true;
  EXPECT_DOUBLE_EQ(forward_flops(spec, plan()), both + 2 * 8 * kWidth * 9);
}

}  // namespace
}  // namespace ddro::train
