// Distributions against transformers' logits processors (make_generate.py) and a plain definition written
// here; choices against the distributions.
#include "ddro/generate/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "ddro/base/json.h"
#include "ddro/base/random.h"
#include "support/fixtures.h"

namespace ddro::generate {
namespace {

std::vector<double> dense(const std::vector<Candidate>& candidates, size_t size) {
  std::vector<double> probabilities(size, 0.0);
  for (const Candidate& candidate : candidates) {
    EXPECT_EQ(probabilities.at(candidate.token), 0) << "token " << candidate.token << " twice";
    probabilities.at(candidate.token) = candidate.probability;
  }
  return probabilities;
}

std::vector<double> sorted(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values;
}

bool distinct(const std::vector<double>& values) {
  const std::vector<double> in_order = sorted(values);
  return std::adjacent_find(in_order.begin(), in_order.end()) == in_order.end();
}

void expect_near(const std::vector<double>& got, const std::vector<double>& expected,
                 const std::string& what) {
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(got[i] > 0, expected[i] > 0) << what;
    EXPECT_NEAR(got[i], expected[i], 1e-12) << what;
  }
}

std::vector<double> logits_of(size_t size, std::uint64_t seed) {
  std::vector<double> logits;
  for (size_t i = 0; i < size; ++i) logits.push_back(12 * random_unit(seed, 0, i) - 6);
  return logits;
}

TEST(TokenDistribution, IsWhatTransformersSamplesFrom) {
  const Json cases = read_json_file(test::fixture("generate/distributions.json").string(), ErrorKind::kInput);
  ASSERT_EQ(cases.size(), 180u);
  for (const Json& each : cases) {
    const std::vector<double> logits = each["logits"];
    const std::vector<double> expected = each["probabilities"];
    const SamplingOptions options{each["temperature"], each["top_k"], each["top_p"]};
    const std::vector<double> got = dense(token_distribution(logits, options), logits.size());
    const std::string what = std::to_string(logits.size()) + " logits, temperature " +
                             std::to_string(options.temperature) + ", top_k " +
                             std::to_string(options.top_k) + ", top_p " + std::to_string(options.top_p);
    // Which of equally probable tokens top-p keeps is open: their number and their probability are not.
    expect_near(sorted(got), sorted(expected), what);
    if (distinct(logits)) expect_near(got, expected, what);
  }
}

TEST(TokenDistribution, OfEquallyProbableTokensTheFirstAreKept) {
  const std::vector<double> got =
      dense(token_distribution(std::vector<double>{1, 2, 1, 1, 1}, {1, 0, 0.5}), 5);
  EXPECT_GT(got[0], 0);
  EXPECT_GT(got[1], got[0]);
  EXPECT_EQ(std::vector<double>(got.begin() + 2, got.end()), std::vector<double>(3, 0.0));
}

// Sizes around those at which the sort goes on.
TEST(TokenDistribution, TopPKeepsTheShortestSortedListThatReachesIt) {
  for (const size_t size : {1u, 2u, 31u, 32u, 33u, 63u, 64u, 65u, 257u, 2000u}) {
    const std::vector<double> logits = logits_of(size, size);
    double total = 0;
    for (const double logit : logits) total += std::exp(logit);
    std::vector<size_t> order(size);
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
    for (const double top_p : {0.05, 0.5, 0.9, 0.999}) {
      std::vector<double> expected(size, 0.0);
      double share = 0;
      for (const size_t token : order) {
        if (share >= top_p) break;
        expected[token] = std::exp(logits[token]) / total;
        share += expected[token];
      }
      for (double& probability : expected) probability /= share;
      const std::vector<double> got =
          dense(token_distribution(logits, {.temperature = 1, .top_k = 0, .top_p = top_p}), size);
      for (size_t i = 0; i < size; ++i) EXPECT_NEAR(got[i], expected[i], 1e-12) << size << " " << top_p;
    }
  }
}

TEST(TokenDistribution, TemperatureZeroTakesTheFirstOfTheLargest) {
  const std::vector<double> logits = {-1, 4, 2, 4};
  for (const double unit : {0.0, 0.5, 0.999999})
    EXPECT_EQ(sample_token(logits, {.temperature = 0}, unit), 1u);
}

TEST(TokenDistribution, StaysFiniteAtTheEnds) {
  const std::vector<double> logits = {-HUGE_VAL, 1e300, 3, -1e300};
  for (const double temperature : {1e-300, 1.0, 1e300}) {
    for (const double unit : {0.0, 0.5, 0.999999}) {
      SamplingOptions options;
      options.temperature = temperature;
      const size_t token = sample_token(logits, options, unit);
      EXPECT_NE(token, 0u);
      if (temperature <= 1) {
        EXPECT_EQ(token, 1u);
      }
    }
  }
}

TEST(SampleToken, TakesEachTokenForItsShareOfTheUnitInterval) {
  const std::vector<double> logits = logits_of(33, 5);
  for (const SamplingOptions options : {SamplingOptions{1, 0, 1}, SamplingOptions{0.7, 9, 1},
                                        SamplingOptions{1.3, 0, 0.8}, SamplingOptions{1.5, 20, 0.6}}) {
    const std::vector<double> expected = dense(token_distribution(logits, options), logits.size());
    constexpr int kPoints = 20000;
    std::map<size_t, int> counts;
    for (int i = 0; i < kPoints; ++i) ++counts[sample_token(logits, options, (i + 0.5) / kPoints)];
    for (size_t token = 0; token < logits.size(); ++token) {
      EXPECT_NEAR(counts[token], expected[token] * kPoints, 1.01) << token;
    }
  }
}

}  // namespace
}  // namespace ddro::generate
