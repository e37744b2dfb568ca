#include "ddro/data/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ddro/base/error.h"
#include "unit/data/example_sets.h"

namespace ddro::data {
namespace {

using testing::ElementsAre;

std::int64_t chosen_in(const Dataset& set, const std::vector<std::int64_t>& step) {
  std::int64_t count = 0;
  for (const std::int64_t i : step) {
    count += set.examples[static_cast<size_t>(i)].sequences[0].row_class == RowClass::kChosen;
  }
  return count;
}

std::vector<std::int64_t> chosen_by_step(const Dataset& set, const StratifiedSampler& sampler) {
  std::vector<std::int64_t> counts;
  for (std::int64_t i = 0; i < sampler.steps_per_epoch(); ++i)
    counts.push_back(chosen_in(set, sampler.step({0, i})));
  return counts;
}

TEST(StratifiedSampler, SpreadsClassesByTheirShare) {
  // 10 of 30 rows, steps of 8, 8, 8 and 6: shares 2.67, 2.67, 2.67, 2; running sums 2.67, 5.33, 8, 10
  // rounded.
  const Dataset set = unpaired_set(10, 20);
  const StratifiedSampler sampler(set, 8, 1);
  EXPECT_EQ(sampler.steps_per_epoch(), 4);
  EXPECT_THAT(chosen_by_step(set, sampler), ElementsAre(3, 2, 3, 2));
  EXPECT_EQ(sampler.step({0, 3}).size(), 6u);
  EXPECT_EQ(sampler.one_class_steps(), 0);
}

TEST(StratifiedSampler, CountsStepsOfOneClass) {
  const Dataset rare = unpaired_set(1, 31);
  const StratifiedSampler sampler(rare, 8, 1);
  EXPECT_THAT(chosen_by_step(rare, sampler), ElementsAre(0, 1, 0, 0));
  EXPECT_EQ(sampler.one_class_steps(), 3);
  EXPECT_EQ(StratifiedSampler(unpaired_set(0, 9), 4, 1).one_class_steps(), 3);
  EXPECT_EQ(StratifiedSampler(unpaired_set(9, 0), 4, 1).one_class_steps(), 3);
  EXPECT_EQ(StratifiedSampler(SetBuilder().pair(1, 1, 1).build(), 4, 1).one_class_steps(), 0);
}

TEST(StratifiedSampler, ShufflesByEpochSeedAndStep) {
  const Dataset set = unpaired_set(50, 50);
  const StratifiedSampler sampler(set, 100, 1);
  const std::vector<std::int64_t> first = sampler.step({0, 0});
  EXPECT_NE(sampler.step({1, 0}), first);
  EXPECT_EQ(sampler.step({0, 0}), first);
  EXPECT_NE(StratifiedSampler(set, 100, 2).step({0, 0}), first);
  EXPECT_EQ(StratifiedSampler(set, 100, 1).step({0, 0}), first);
  // Within a step the classes are mixed: 50 rows of the one before 50 of the other has no chance.
  const auto half = std::vector<std::int64_t>(first.begin(), first.begin() + 50);
  EXPECT_GT(chosen_in(set, half), 10);
  EXPECT_LT(chosen_in(set, half), 40);
}

TEST(StratifiedSampler, AdvancesOverEpochs) {
  const StratifiedSampler sampler(unpaired_set(3, 4), 3, 1);
  SamplerState state;
  std::vector<std::pair<std::int64_t, std::int64_t>> states;
  for (int i = 0; i < 5; ++i, state = sampler.next(state))
    states.emplace_back(state.epoch, state.step_in_epoch);
  using P = std::pair<std::int64_t, std::int64_t>;
  EXPECT_THAT(states, ElementsAre(P{0, 0}, P{0, 1}, P{0, 2}, P{1, 0}, P{1, 1}));
}

TEST(StratifiedSampler, ChecksItsArguments) {
  const Dataset set = unpaired_set(3, 4);
  EXPECT_THROW(StratifiedSampler(Dataset{}, 1, 1), Error);
  EXPECT_THROW(StratifiedSampler(set, 0, 1), Error);
  EXPECT_THROW(StratifiedSampler(set, 7, 1).step({0, 1}), Error);
  EXPECT_THROW(StratifiedSampler(set, 7, 1).step({-1, 0}), Error);
}

}  // namespace
}  // namespace ddro::data
