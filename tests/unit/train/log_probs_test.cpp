#include "ddro/train/log_probs.h"

#include <gmock/gmock.h>

#include <limits>

#include "ddro/base/error.h"
#include "support/fixtures.h"
#include "support/tiny_model.h"

namespace ddro::train {
namespace {

constexpr data::PackOptions kPack = {.micro_batch_tokens = 40};

TEST(LogProbTable, GivesEachRowItsValueAndNothingElse) {
  const data::Dataset set = test::random_dataset(5, /*paired=*/true, 1);
  const std::vector<double> values = {-1, -2, -3, -4, -5, -6, -7, -8, -9, -10};
  const LogProbTable table(set, values);
  EXPECT_FALSE(table.is_live());
  const data::SetPlan plan(set, kPack);
  for (std::int64_t i = 0; i < plan.num_micro_batches(); ++i) {
    const data::PackedBatch batch = plan.micro_batch(i);
    const std::vector<double> got = table.of(batch, ModelBatch(batch, at::kCPU), false);
    for (size_t j = 0; j < got.size(); ++j)
      EXPECT_EQ(got[j], -1 - static_cast<double>(batch.completions[j].step_index));
  }
  EXPECT_THROW(LogProbTable(set, {-1, -2}), Error);
  const data::Dataset larger = test::random_dataset(6, /*paired=*/true, 1);
  const data::PackedBatch whole = data::SetPlan(larger, {.micro_batch_tokens = 1 << 20}).micro_batch(0);
  EXPECT_THROW(table.of(whole, ModelBatch(whole, at::kCPU), false), Error);
}

TEST(LogProbTable, KnowsWhichRowItHasNoValueOf) {
  const data::Dataset set = test::random_dataset(1, /*paired=*/true, 1);
  const LogProbTable table(set, {-1, std::numeric_limits<double>::quiet_NaN()});
  const data::PackedBatch batch = data::SetPlan(set, {.micro_batch_tokens = 1 << 20}).micro_batch(0);
  EXPECT_THROW(table.of(batch, ModelBatch(batch, at::kCPU), false), Error);
}

}  // namespace
}  // namespace ddro::train
