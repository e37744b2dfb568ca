#include "ddro/losses/metrics.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <map>

#include "ddro/base/random.h"
#include "unit/losses/loss_testing.h"

namespace ddro::losses {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::map<std::string, double> metrics_of(std::span<const ScoredCompletion> completions,
                                         const ObjectiveOptions& options) {
  const Metrics metrics =
      preference_metrics(completions, *make_objective(options, 0.5), batch_counts(completions), 1.25);
  return {metrics.begin(), metrics.end()};
}

TEST(Metrics, ComeInTheDocumentedOrder) {
  std::vector<std::string> names;
  const std::vector<ScoredCompletion> completions = paired({1}, {2});
  for (const auto& [name, value] :
       preference_metrics(completions, *make_objective({}, 0.5), batch_counts(completions), 0))
    names.push_back(name);
  EXPECT_THAT(names, testing::ElementsAre(
                         "loss", "rewards/chosen", "rewards/rejected", "rewards/accuracies",
                         "rewards/margins", "logps/chosen", "logps/rejected", "log_ratio/chosen",
                         "log_ratio/rejected", "log_ratio/abs_max", "log_ratio/chosen_p10",
                         "log_ratio/chosen_p50", "log_ratio/chosen_p90", "log_ratio/rejected_p10",
                         "log_ratio/rejected_p50", "log_ratio/rejected_p90", "ratio/auc", "ratio/saturated",
                         "ratio/capped", "ratio/chosen_mean", "ratio/rejected_mean", "ratio/mixture_mean"));
}

TEST(Metrics, OfPairs) {
  std::vector<ScoredCompletion> completions = paired({-12, -35.5, -80.25}, {-14, -30, -95});
  const std::vector<double> reference = {-13, -13.5, -36, -31.5, -78, -90};
  for (size_t i = 0; i < 6; ++i) completions[i].ref_logp = reference[i];
  // l+ = 1, 0.5, -2.25; l- = -0.5, 1.5, -5
  auto metrics = metrics_of(completions, options_of(LossType::kSigmoid));
  EXPECT_EQ(metrics["loss"], 1.25);
  EXPECT_DOUBLE_EQ(metrics["log_ratio/chosen"], -0.25);
  EXPECT_DOUBLE_EQ(metrics["log_ratio/rejected"], -4.0 / 3);
  EXPECT_DOUBLE_EQ(metrics["rewards/chosen"], -0.025);
  EXPECT_DOUBLE_EQ(metrics["rewards/rejected"], -0.4 / 3);
  EXPECT_DOUBLE_EQ(metrics["rewards/margins"], -0.025 + 0.4 / 3);
  EXPECT_DOUBLE_EQ(metrics["rewards/accuracies"], 2.0 / 3);
  EXPECT_DOUBLE_EQ(metrics["logps/chosen"], -127.75 / 3);
  EXPECT_DOUBLE_EQ(metrics["logps/rejected"], -139.0 / 3);
  EXPECT_DOUBLE_EQ(metrics["log_ratio/abs_max"], 5);
  EXPECT_DOUBLE_EQ(metrics["ratio/auc"], 5.0 / 9);  // (1, .5 and -2.25 beat 2, 2 and 1 of three)
  EXPECT_DOUBLE_EQ(metrics["ratio/chosen_mean"], (std::exp(1) + std::exp(0.5) + std::exp(-2.25)) / 3);
  EXPECT_DOUBLE_EQ(metrics["ratio/rejected_mean"], (std::exp(-0.5) + std::exp(1.5) + std::exp(-5)) / 3);
  EXPECT_DOUBLE_EQ(metrics["ratio/mixture_mean"],
                   (metrics["ratio/chosen_mean"] + metrics["ratio/rejected_mean"]) / 2);
  EXPECT_DOUBLE_EQ(metrics["ratio/saturated"], 1.0 / 3);
  EXPECT_EQ(metrics["ratio/capped"], 0);
  EXPECT_DOUBLE_EQ(metrics_of(completions, options_of(LossType::kDdro))["rewards/chosen"], -0.25);
}

TEST(Metrics, AnEqualPairIsNotWon) {
  EXPECT_EQ(metrics_of(paired({1, 2}, {1, 1}), options_of(LossType::kDdro))["rewards/accuracies"], 0.5);
}

TEST(Metrics, UnpairedRowsHaveNoAccuracy) {
  auto metrics = metrics_of(unpaired({1, 2}, {-1}), options_of(LossType::kDdro));
  EXPECT_FALSE(metrics.contains("rewards/accuracies"));
  EXPECT_EQ(metrics["rewards/margins"], 2.5);
}

TEST(Metrics, SaturationStartsAtThePoleAndCappingBeyondTheCap) {
  const ObjectiveOptions options = ddro_options(Generator::kLogistic, 0.5, 10);
  const double cap = make_objective(options, 0.5)->cap_log_ratio({});
  const double pole = -std::log(0.5);
  auto metrics = metrics_of(unpaired({9}, {cap, cap + 1e-9, pole, pole - 1e-9}), options);
  EXPECT_EQ(metrics["ratio/saturated"], 0.25);
  EXPECT_EQ(metrics["ratio/capped"], 0.75);
  EXPECT_EQ(metrics_of(unpaired({9}, {0.7}), options_of(LossType::kRdro))["ratio/saturated"], 1);
}

TEST(Metrics, WhatAMissingClassLeavesUndefinedIsAbsent) {
  auto metrics = metrics_of(unpaired({1}, {}), options_of(LossType::kDdro));
  for (const char* name :
       {"rewards/rejected", "rewards/margins", "logps/rejected", "log_ratio/rejected",
        "log_ratio/rejected_p50", "ratio/auc", "ratio/saturated", "ratio/capped", "ratio/rejected_mean"}) {
    EXPECT_FALSE(metrics.contains(name)) << name;
  }
  EXPECT_EQ(metrics["log_ratio/chosen"], 1);
  EXPECT_FALSE(metrics_of({}, {}).contains("log_ratio/abs_max"));
}

TEST(Metrics, WithoutAReferenceOnlyLikelihoodsAreKnown) {
  using testing::Pair;
  EXPECT_THAT(metrics_of(paired({-1}, {-3}), options_of(LossType::kSft)),
              testing::ElementsAre(Pair("logps/chosen", -1), Pair("logps/rejected", -3), Pair("loss", 1.25)));
}

// Losses without a reference reward what they compare: cpo sums, simpo and orpo means of a token.
TEST(Metrics, WithoutAReferenceRewardsAreOfLogProbabilities) {
  std::vector<ScoredCompletion> completions = paired({-6, -8}, {-3, -20});
  for (ScoredCompletion& completion : completions) completion.num_tokens = 4;
  completions[1].num_tokens = 1;
  for (const LossType type : {LossType::kCpo, LossType::kSimpo, LossType::kOrpo}) {
    auto metrics = metrics_of(completions, options_of(type));
    const bool sums = type == LossType::kCpo;
    EXPECT_DOUBLE_EQ(metrics["rewards/chosen"], sums ? -0.7 : -0.175);
    EXPECT_DOUBLE_EQ(metrics["rewards/rejected"], sums ? -1.15 : -0.4);
    EXPECT_DOUBLE_EQ(metrics["rewards/margins"], sums ? 0.45 : 0.225);
    EXPECT_EQ(metrics["rewards/accuracies"], sums ? 0.5 : 1);
    EXPECT_FALSE(metrics.contains("log_ratio/chosen"));
    EXPECT_FALSE(metrics.contains("ratio/auc"));
  }
}

TEST(Metrics, KtoNamesItsReferencePoint) {
  BatchCounts counts;
  counts.kl = 0.75;
  const Metrics metrics =
      preference_metrics(unpaired({1}, {2}), *make_objective(options_of(LossType::kKto), 0.5), counts, 0);
  EXPECT_EQ(metrics.back(), std::make_pair(std::string("kl"), 0.75));
}

TEST(Metrics, CappingFollowsTheGrowingCap) {
  ObjectiveOptions options = options_of(LossType::kDdro);
  options.max_weight.reset();
  const std::vector<ScoredCompletion> completions = unpaired({0}, {0.63});
  BatchCounts counts = batch_counts(completions);
  const auto capped = [&] {
    const Metrics metrics = preference_metrics(completions, *make_objective(options, 0.5), counts, 0);
    return std::map<std::string, double>(metrics.begin(), metrics.end()).at("ratio/capped");
  };
  EXPECT_EQ(capped(), 1);  // W = 10, l* = log(20/11) = 0.598
  counts.rejected_seen = 1e4;
  EXPECT_EQ(capped(), 0);  // W = 100, l* = log(200/101) = 0.683
}

TEST(Metrics, WeightsAreDuplicatedRows) {
  std::vector<ScoredCompletion> completions = paired({0.3, -1, 0.3}, {0.3, 0.9, -4});
  completions[2].weight = completions[3].weight = 3;
  std::vector<ScoredCompletion> copies = paired({0.3, -1, 0.3, -1, -1}, {0.3, 0.9, -4, 0.9, 0.9});
  for (const LossType type : {LossType::kDdro, LossType::kSigmoid}) {
    const auto weighted = metrics_of(completions, options_of(type));
    for (const auto& [name, value] : metrics_of(copies, options_of(type))) {
      if (name == "ratio/mixture_mean_se") continue;  // a row is one observation, however much it counts
      EXPECT_DOUBLE_EQ(weighted.at(name), value) << name;
    }
  }
}

// Nearest rank, by counting: the smallest l with at least that share of the completions at or below it.
TEST(Metrics, PercentilesOfTheLogRatioOfEachClass) {
  for (const std::int64_t size : {1, 2, 9, 10, 11, 100}) {
    std::vector<ScoredCompletion> completions = {rejected_at(-3), rejected_at(5)};
    for (std::int64_t i = 0; i < size; ++i) {
      completions.push_back(chosen_at(8 * random_unit(2, 2, static_cast<std::uint64_t>(i)) - 4));
      completions.back().weight = 1 + static_cast<double>(i % 3);
    }
    auto metrics = metrics_of(completions, options_of(LossType::kRdro));
    for (const int percent : {10, 50, 90}) {
      double expected = std::numeric_limits<double>::infinity();
      for (const ScoredCompletion& candidate : completions) {
        double below = 0;
        double all = 0;
        for (const ScoredCompletion& completion : completions) {
          if (!completion.chosen) continue;
          all += completion.weight;
          if (completion.logp <= candidate.logp) below += completion.weight;
        }
        if (candidate.chosen && below / all >= percent / 100.0 - 1e-12)
          expected = std::min(expected, candidate.logp);
      }
      EXPECT_EQ(metrics["log_ratio/chosen_p" + std::to_string(percent)], expected) << size;
    }
    EXPECT_EQ(metrics["log_ratio/rejected_p10"], -3);
    EXPECT_EQ(metrics["log_ratio/rejected_p50"], -3);
    EXPECT_EQ(metrics["log_ratio/rejected_p90"], 5);
  }
}

TEST(Metrics, AucCountsEveryCrossPair) {
  for (const std::int64_t size : {1, 31, 32, 33, 200}) {
    std::vector<ScoredCompletion> completions;
    for (std::int64_t i = 0; i < size; ++i) {
      const auto index = static_cast<std::uint64_t>(i);
      // Few different values, so that many pairs are tied.
      ScoredCompletion completion = i % 3 == 0 ? chosen_at(0) : rejected_at(0);
      completion.logp = std::floor(8 * random_unit(1, 2, index));
      completion.weight = 1 + std::floor(3 * random_unit(1, 3, index));
      completions.push_back(completion);
    }
    double won = 0;
    double all = 0;
    for (const ScoredCompletion& a : completions) {
      for (const ScoredCompletion& b : completions) {
        if (!a.chosen || b.chosen) continue;
        won += a.weight * b.weight * (a.logp > b.logp ? 1 : a.logp == b.logp ? 0.5 : 0);
        all += a.weight * b.weight;
      }
    }
    auto metrics = metrics_of(completions, options_of(LossType::kDdro));
    ASSERT_EQ(metrics.contains("ratio/auc"), size > 1);
    if (size == 1) continue;
    EXPECT_DOUBLE_EQ(metrics["ratio/auc"], won / all);
  }
}

TEST(Metrics, MeansOfRatiosAreTakenInTheLogDomain) {
  auto metrics = metrics_of(unpaired({700, 700}, {-1e4, -1e4}), options_of(LossType::kDdro));
  EXPECT_DOUBLE_EQ(metrics["ratio/chosen_mean"], std::exp(700));
  EXPECT_EQ(metrics["ratio/rejected_mean"], 0);
  EXPECT_EQ(metrics_of(unpaired({1e4}, {0}), options_of(LossType::kDdro))["ratio/chosen_mean"],
            std::numeric_limits<double>::infinity());
}

TEST(Metrics, ARowThatIsNotANumberSpoilsItsMetricsOnly) {
  auto metrics = metrics_of(unpaired({1, 2, kNan}, {0.5, 3}), options_of(LossType::kDdro));
  for (const char* name :
       {"log_ratio/chosen", "log_ratio/abs_max", "log_ratio/chosen_p10", "ratio/auc", "ratio/chosen_mean"}) {
    EXPECT_TRUE(std::isnan(metrics[name])) << name;
  }
  EXPECT_EQ(metrics["log_ratio/rejected"], 1.75);
  EXPECT_EQ(metrics["ratio/saturated"], 0.5);
  EXPECT_TRUE(
      std::isnan(metrics_of(unpaired({0}, {0.5, kNan}), options_of(LossType::kDdro))["ratio/saturated"]));
}

}  // namespace
}  // namespace ddro::losses
