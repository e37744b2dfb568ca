#include "ddro/data/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "ddro/base/error.h"
#include "unit/data/example_sets.h"

namespace ddro::data {
namespace {

using testing::ElementsAre;

std::int64_t chosen_in(const Dataset& set, const std::vector<std::int64_t>& step) {
  std::int64_t count = 0;
  for (const std::int64_t i : step) {
    count += set.examples[static_cast<size_t>(i)].sequences[0].completion_class == CompletionClass::kChosen;
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

// 30 % of ten rows of each class, then each of six twice and half of them once more.
TEST(StratifiedSampler, DrawsTheSharesOfAMixture) {
  Dataset set = unpaired_set(10, 10);
  for (int i = 0; i < 6; ++i) set.examples.push_back(set.examples[0]);
  set.mixture = {{20, 0.3}, {26, 2.5}};
  const StratifiedSampler sampler(set, 7, 1);
  EXPECT_EQ(sampler.num_examples(), 3 + 3 + 15);
  EXPECT_EQ(sampler.steps_per_epoch(), 3);
  EXPECT_DOUBLE_EQ(set.class_weight(CompletionClass::kChosen), 0.3 * 10 + 2.5 * 6);
  EXPECT_DOUBLE_EQ(set.class_weight(CompletionClass::kRejected), 0.3 * 10);
  std::vector<std::vector<int>> epochs;
  for (std::int64_t epoch = 0; epoch < 40; ++epoch) {
    std::vector<int> times(26);
    for (std::int64_t step = 0; step < 3; ++step) {
      EXPECT_EQ(chosen_in(set, sampler.step({epoch, step})), 6);
      for (const std::int64_t i : sampler.step({epoch, step})) ++times[static_cast<size_t>(i)];
    }
    const auto between = [&](int begin, int end, int times_drawn) {
      return std::count(times.begin() + begin, times.begin() + end, times_drawn);
    };
    EXPECT_EQ(between(0, 10, 1), 3);
    EXPECT_EQ(between(0, 10, 0), 7);
    EXPECT_EQ(between(10, 20, 1), 3);
    EXPECT_EQ(between(10, 20, 0), 7);
    EXPECT_EQ(between(20, 26, 2), 3);
    EXPECT_EQ(between(20, 26, 3), 3);
    epochs.push_back(times);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  for (size_t i = 0; i < 26; ++i) {
    const auto drawn = std::count_if(epochs.begin(), epochs.end(),
                                     [i](const auto& times) { return times[i] > (i < 20 ? 0 : 2); });
    EXPECT_GT(drawn, 0) << i;  // of 40 draws of 3 in 10: none has a chance of 1e-6
    EXPECT_LT(drawn, 40) << i;
  }
  // A place of the order is a function of seed and epoch alone.
  EXPECT_EQ(StratifiedSampler(set, 7, 1).step({17, 2}), sampler.step({17, 2}));
  EXPECT_NE(StratifiedSampler(set, 7, 2).step({17, 2}), sampler.step({17, 2}));
}

TEST(StratifiedSampler, WeightsOfOneChangeNothing) {
  const Dataset plain = unpaired_set(13, 8);
  Dataset set = plain;
  set.mixture = {{5, 1}, {21, 1}};
  for (std::int64_t step = 0; step < 5; ++step)
    EXPECT_EQ(StratifiedSampler(set, 5, 3).step({1, step}), StratifiedSampler(plain, 5, 3).step({1, step}));
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
