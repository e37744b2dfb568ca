#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "ddro/data/sampler.h"
#include "unit/data/example_sets.h"

namespace ddro::data {
namespace {

struct Sizes {
  std::int64_t chosen;
  std::int64_t rejected;
};

// Every epoch holds each example once, in steps that are full but for the last, with each class within one
// row of its share.
void expect_partition(const Dataset& set, std::int64_t batch_size, double chosen_share) {
  const StratifiedSampler sampler(set, batch_size, 5);
  const auto size = static_cast<std::int64_t>(set.examples.size());
  ASSERT_EQ(sampler.steps_per_epoch(), (size + batch_size - 1) / batch_size);
  for (const std::int64_t epoch : {0, 1, 7}) {
    std::set<std::int64_t> seen;
    std::int64_t one_class = 0;
    for (std::int64_t i = 0; i < sampler.steps_per_epoch(); ++i) {
      const std::vector<std::int64_t> step = sampler.step({epoch, i});
      ASSERT_EQ(static_cast<std::int64_t>(step.size()), std::min(batch_size, size - i * batch_size));
      std::int64_t chosen = 0;
      for (const std::int64_t example : step) {
        ASSERT_TRUE(seen.insert(example).second) << "twice in an epoch";
        chosen += set.examples.at(static_cast<size_t>(example)).sequences[0].completion_class ==
                  CompletionClass::kChosen;
      }
      const auto rows = static_cast<double>(step.size());
      EXPECT_LE(std::abs(static_cast<double>(chosen) - chosen_share * rows), 1.0 + 1e-9);
      one_class += chosen == 0 || chosen == static_cast<std::int64_t>(step.size());
    }
    EXPECT_EQ(static_cast<std::int64_t>(seen.size()), size);
    EXPECT_EQ(set.kind == RowKind::kPaired ? 0 : one_class, sampler.one_class_steps());
  }
}

TEST(SamplerLaws, StepsPartitionUnpairedRowsAtTheDatasRatio) {
  for (const Sizes sizes :
       {Sizes{1, 0}, {0, 1}, {1, 1}, {1, 31}, {32, 1}, {33, 31}, {100, 57}, {7, 300}, {64, 64}}) {
    for (const std::int64_t batch_size : {1, 2, 3, 7, 31, 32, 33, 1000}) {
      SCOPED_TRACE(testing::Message()
                   << sizes.chosen << "+" << sizes.rejected << " in steps of " << batch_size);
      const double share =
          static_cast<double>(sizes.chosen) / static_cast<double>(sizes.chosen + sizes.rejected);
      expect_partition(unpaired_set(sizes.chosen, sizes.rejected), batch_size, share);
    }
  }
}

TEST(SamplerLaws, StepsPartitionPairs) {
  for (const int pairs : {1, 31, 32, 33, 200}) {
    SetBuilder builder;
    for (int i = 0; i < pairs; ++i) builder.pair(1, 1, 1);
    for (const std::int64_t batch_size : {1, 5, 32, 500}) expect_partition(builder.build(), batch_size, 1.0);
  }
}

TEST(SamplerLaws, EveryPlaceOfTheOrderIsReachedByEveryExample) {
  // 4 examples, 1200 epochs: each example comes first about 300 times (standard deviation 15).
  SetBuilder builder;
  for (int i = 0; i < 4; ++i) builder.pair(1, 1, 1);
  const Dataset set = builder.build();
  const StratifiedSampler sampler(set, 1, 3);
  std::vector<int> first(4);
  for (std::int64_t epoch = 0; epoch < 1200; ++epoch)
    ++first[static_cast<size_t>(sampler.step({epoch, 0})[0])];
  for (const int count : first) EXPECT_NEAR(count, 300, 75);
}

}  // namespace
}  // namespace ddro::data
