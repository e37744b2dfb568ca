#include "ddro/data/plan_ahead.h"

#include <gtest/gtest.h>

#include "unit/data/example_sets.h"

namespace ddro::data {
namespace {

Dataset pairs_of_many_lengths() {
  SetBuilder builder;
  for (std::uint64_t i = 0; i < 23; ++i)
    builder.pair(random_between(1, 9, 1, i), random_between(1, 20, 2, i), random_between(1, 20, 3, i));
  return builder.build();
}

void expect_same_plan(const StepPlan& a, const StepPlan& b) {
  EXPECT_EQ(a.examples, b.examples);
  ASSERT_EQ(a.micro_batches.size(), b.micro_batches.size());
  for (size_t i = 0; i < a.micro_batches.size(); ++i) {
    EXPECT_EQ(a.micro_batches[i].ids_T, b.micro_batches[i].ids_T);
    EXPECT_EQ(a.micro_batches[i].targets_C, b.micro_batches[i].targets_C);
  }
}

class PlanAheadTest : public testing::Test {
 protected:
  StepPlan planned(const SamplerState& place) const {
    return plan_step(set_, StratifiedSampler(set_, 4, 7).step(place), options_);
  }

  Dataset set_ = pairs_of_many_lengths();
  PackOptions options_ = {.micro_batch_tokens = 40};
  PlanAhead plans_{set_, StratifiedSampler(set_, 4, 7), options_};
};

TEST_F(PlanAheadTest, StepsInTheirOrderAcrossEpochs) {
  SamplerState place;
  for (int step = 0; step < 20; ++step, place = plans_.sampler().next(place))
    expect_same_plan(plans_.take(place), planned(place));
  EXPECT_EQ(place.epoch, 3);
}

TEST_F(PlanAheadTest, AnyOtherOrder) {
  for (const SamplerState place :
       {SamplerState{2, 3}, SamplerState{0, 5}, SamplerState{0, 5}, SamplerState{1, 0}})
    expect_same_plan(plans_.take(place), planned(place));
}

}  // namespace
}  // namespace ddro::data
