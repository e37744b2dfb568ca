#include "ddro/losses/mixture_mean.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ddro/base/random.h"
#include "unit/losses/loss_testing.h"

namespace ddro::losses {
namespace {

TEST(MixtureMean, WeighsTheClassesByAlpha) {
  std::vector<ScoredCompletion> completions = unpaired({0, 0, 0}, {0, 0});
  completions[1].weight = 3;
  const std::vector<double> values = {2, 4, 9, -1, 5};
  const auto got = mixture_mean(completions, values, 0.25);
  ASSERT_TRUE(got && got->standard_error);
  const double chosen = (2 + 3 * 4 + 9) / 5.0;
  EXPECT_DOUBLE_EQ(got->mean, 0.25 * chosen + 0.75 * 2);
  const double chosen_squares =
      std::pow(2 - chosen, 2) + 9 * std::pow(4 - chosen, 2) + std::pow(9 - chosen, 2);
  const double chosen_variance = chosen_squares * 3 / 2 / 25;
  const double rejected_variance = (9 + 9) * 2 / 4.0;
  EXPECT_DOUBLE_EQ(*got->standard_error, std::sqrt(chosen_variance / 16 + rejected_variance * 9 / 16));
}

TEST(MixtureMean, NeedsBothClassesAndTwoOfEachForAnError) {
  EXPECT_FALSE(mixture_mean(unpaired({0, 0}, {}), std::vector<double>{1, 2}, 0.5));
  EXPECT_FALSE(mixture_mean(unpaired({}, {0}), std::vector<double>{1}, 0.5));
  const auto single = mixture_mean(unpaired({0}, {0, 0}), std::vector<double>{1, 2, 3}, 0.5);
  ASSERT_TRUE(single);
  EXPECT_DOUBLE_EQ(single->mean, 1.75);
  EXPECT_FALSE(single->standard_error);
}

// Outcomes drawn from a reference and labelled at random: any other distribution's mean ratio is 1, unless
// the outcomes came from elsewhere.
TEST(MixtureRatio, IsOneForSamplesOfTheReference) {
  constexpr size_t kOutcomes = 6;
  constexpr std::uint64_t kRows = 20000;
  const std::vector<double> reference = {0.3, 0.25, 0.2, 0.1, 0.1, 0.05};
  const std::vector<double> policy = {0.1, 0.2, 0.3, 0.15, 0.05, 0.2};
  const std::vector<double> other = {0.05, 0.1, 0.2, 0.25, 0.1, 0.3};
  const auto rows_of = [&](const std::vector<double>& source) {
    std::vector<ScoredCompletion> completions;
    for (std::uint64_t i = 0; i < kRows; ++i) {
      double left = random_unit(5, 0, i);
      size_t outcome = 0;
      while (outcome + 1 < kOutcomes && left >= source[outcome]) left -= source[outcome++];
      ScoredCompletion completion;
      completion.chosen = random_unit(5, 1, i) < 0.1 + 0.1 * static_cast<double>(outcome);
      completion.logp = std::log(policy[outcome]);
      completion.ref_logp = std::log(reference[outcome]);
      completions.push_back(completion);
    }
    return completions;
  };
  const auto errors_from_one = [](const std::vector<ScoredCompletion>& completions) {
    const BatchCounts counts = batch_counts(completions);
    const auto ratio = mixture_ratio(completions, counts.chosen / (counts.chosen + counts.rejected));
    return (ratio->mean - 1) / *ratio->standard_error;
  };
  EXPECT_LT(std::abs(errors_from_one(rows_of(reference))), 4);
  EXPECT_GT(errors_from_one(rows_of(other)), 20);
}

TEST(MixtureRatio, OverflowsOnlyAsItsResultDoes) {
  const auto large = mixture_ratio(unpaired({709, 709}, {708, 708}), 0.5);
  ASSERT_TRUE(large && large->standard_error);
  EXPECT_TRUE(std::isfinite(large->mean));
  EXPECT_EQ(*large->standard_error, 0);
  EXPECT_TRUE(std::isinf(mixture_ratio(unpaired({1e4, 0}, {0, 0}), 0.5)->mean));
}

}  // namespace
}  // namespace ddro::losses
