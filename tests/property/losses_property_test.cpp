// Laws of the objectives: what each one's minimiser is, and what must not change a loss.
#include <gmock/gmock.h>

#include <array>
#include <cmath>
#include <string>

#include "ddro/base/random.h"
#include "unit/losses/loss_testing.h"

namespace ddro::losses {
namespace {

constexpr size_t kOutcomes = 3;
using Distribution = std::array<double, kOutcomes>;

Distribution softmax(const Distribution& logits) {
  Distribution p;
  double sum = 0;
  for (size_t i = 0; i < kOutcomes; ++i) sum += p[i] = std::exp(logits[i]);
  for (double& value : p) value /= sum;
  return p;
}

// The policy that gradient descent finds on the exact expectation: one completion a class and outcome,
// weighted with its probability.
Distribution minimiser(const Objective& objective, const Distribution& p_plus, const Distribution& p_minus,
                       double alpha) {
  std::vector<ScoredCompletion> completions;
  for (size_t i = 0; i < kOutcomes; ++i) {
    const double reference = std::log(alpha * p_plus[i] + (1 - alpha) * p_minus[i]);
    completions.push_back({.ref_logp = reference, .chosen = true, .weight = p_plus[i]});
    completions.push_back({.ref_logp = reference, .chosen = false, .weight = p_minus[i]});
  }
  Distribution logits = {};
  for (size_t i = 0; i < kOutcomes; ++i) logits[i] = completions[2 * i].ref_logp;
  for (int step = 0; step < 100000; ++step) {
    const Distribution p = softmax(logits);
    for (size_t i = 0; i < kOutcomes; ++i)
      completions[2 * i].logp = completions[2 * i + 1].logp = std::log(p[i]);
    const Evaluation at = evaluate(objective, completions);
    double sum = 0;
    for (const double slope : at.slope) sum += slope;
    for (size_t i = 0; i < kOutcomes; ++i) {
      logits[i] -= 0.01 * (at.slope[2 * i] + at.slope[2 * i + 1] - p[i] * sum);
    }
  }
  return softmax(logits);
}

void expect_reaches(const ObjectiveOptions& options, double alpha) {
  const Distribution p_plus = {0.6, 0.3, 0.1};
  const Distribution p_minus = {0.2, 0.3, 0.5};
  const Distribution found = minimiser(*make_objective(options, 0.5), p_plus, p_minus, alpha);
  for (size_t i = 0; i < kOutcomes; ++i) EXPECT_NEAR(found[i], p_plus[i], 1e-6);
}

TEST(Minimiser, OfDdroIsThePreferredDistribution) {
  for (const double alpha : {0.3, 0.5, 0.7}) {
    for (const Generator generator :
         {Generator::kLogistic, Generator::kKl, Generator::kLsif, Generator::kBasu}) {
      SCOPED_TRACE(std::to_string(static_cast<int>(generator)) + " at " + std::to_string(alpha));
      for (const Stabilizer stabilizer : {Stabilizer::kCap, Stabilizer::kCeiling})
        expect_reaches(ddro_options(generator, alpha, 1000, stabilizer), alpha);
    }
  }
}

TEST(Minimiser, OfRdroWithClassMeansIsThePreferredDistribution) {
  for (const double alpha : {0.3, 0.5, 0.7}) expect_reaches(options_of(LossType::kRdro, alpha), alpha);
}

TEST(Minimiser, OfDdroMovesWhenTheCapIsBelowATrueWeight) {
  const Distribution p_plus = {0.6, 0.3, 0.1};
  const Distribution p_minus = {0.2, 0.3, 0.5};
  // The first outcome's true weight is 3.
  const auto capped = make_objective(ddro_options(Generator::kLogistic, 0.5, 1.5), 0.5);
  EXPECT_GT(minimiser(*capped, p_plus, p_minus, 0.5)[0], 0.6 + 1e-3);
}

// However high the cap is: nothing but the ceiling ends the reward for the first outcome at its ratio.
TEST(Minimiser, OfDdroNeedsACeilingWhereAnOutcomeIsNeverUnpreferred) {
  const Distribution p_plus = {0.5, 0.3, 0.2};
  const Distribution p_minus = {1e-9, 0.3, 0.7};
  for (const double alpha : {0.3, 0.5, 0.7}) {
    const auto found = [&](Stabilizer stabilizer) {
      const auto objective = make_objective(ddro_options(Generator::kLogistic, alpha, 1000, stabilizer), 0.5);
      return minimiser(*objective, p_plus, p_minus, alpha);
    };
    EXPECT_GT(found(Stabilizer::kCap)[0], 0.6);
    for (size_t i = 0; i < kOutcomes; ++i) EXPECT_NEAR(found(Stabilizer::kCeiling)[i], p_plus[i], 1e-3);
  }
}

std::vector<ObjectiveOptions> all_losses() {
  std::vector<ObjectiveOptions> all;
  for (const LossType type : all_loss_types()) all.push_back(options_of(type, 0.4));
  all.push_back({});
  all.back().loss_type = {LossType::kSigmoid, LossType::kBco, LossType::kSft};
  for (const Generator generator :
       {Generator::kLogistic, Generator::kKl, Generator::kLsif, Generator::kBasu}) {
    all.push_back(ddro_options(generator, 0.4, 5));
    all.push_back(ddro_options(generator, 0.4, 5, Stabilizer::kCeiling));
    all.push_back(ddro_options(generator, 0.4, 5, Stabilizer::kNnbd));
  }
  all.push_back(ddro_options(Generator::kLogistic, 0.4, 5));
  all.back().class_reduction = ClassReduction::kPooled;
  all.push_back(options_of(LossType::kRdro, 0.4));
  all.back().class_reduction = ClassReduction::kPooled;
  return all;
}

std::vector<ScoredCompletion> random_pairs(std::int64_t count) {
  std::vector<double> chosen, rejected;
  for (std::int64_t i = 0; i < count; ++i) {
    chosen.push_back(4 * random_unit(5, 1, static_cast<std::uint64_t>(i)) - 2);
    rejected.push_back(4 * random_unit(5, 2, static_cast<std::uint64_t>(i)) - 2);
  }
  std::vector<ScoredCompletion> completions = paired(chosen, rejected);
  for (size_t i = 0; i < completions.size(); ++i) {
    completions[i].ref_logp = -3 - 10 * random_unit(5, 3, i);
    completions[i].logp += completions[i].ref_logp;
    completions[i].num_tokens = 1 + static_cast<std::int64_t>(20 * random_unit(5, 4, i));
  }
  return completions;
}

TEST(Invariance, WeightsAreDuplicatedRows) {
  std::vector<ScoredCompletion> weighted = random_pairs(5);
  std::vector<ScoredCompletion> copies;
  for (size_t pair = 0; pair < 5; ++pair) {
    const size_t times = pair % 3 + 1;
    weighted[2 * pair].weight = weighted[2 * pair + 1].weight = static_cast<double>(times);
    for (size_t i = 0; i < times; ++i) {
      const auto first = static_cast<std::int64_t>(copies.size());
      for (size_t side = 0; side < 2; ++side) {
        ScoredCompletion completion = weighted[2 * pair + side];
        completion.weight = 1;
        completion.partner = side == 0 ? first + 1 : first;
        copies.push_back(completion);
      }
    }
  }
  for (const ObjectiveOptions& options : all_losses()) {
    SCOPED_TRACE(loss_name(options.loss_type));
    const auto objective = make_objective(options, 0.5);
    const Evaluation once = evaluate(*objective, weighted);
    const Evaluation repeated = evaluate(*objective, copies);
    EXPECT_NEAR(once.loss, repeated.loss, 1e-13 * std::max(1.0, std::abs(once.loss)));
    size_t copy = 0;
    for (size_t i = 0; i < weighted.size(); i += 2) {
      EXPECT_NEAR(once.slope[i], weighted[i].weight * repeated.slope[copy], 1e-13 * std::abs(once.slope[i]));
      EXPECT_NEAR(once.slope[i + 1], weighted[i].weight * repeated.slope[copy + 1],
                  1e-13 * std::abs(once.slope[i + 1]));
      copy += 2 * static_cast<size_t>(weighted[i].weight);
    }
  }
}

TEST(Invariance, OrderDoesNotMatterBeyondRounding) {
  for (const std::int64_t count : {1, 31, 32, 33}) {
    const std::vector<ScoredCompletion> completions = random_pairs(count);
    const std::vector<std::int64_t> order = random_permutation(2 * count, 3, 1);
    std::vector<std::int64_t> place(order.size());
    for (size_t i = 0; i < order.size(); ++i)
      place[static_cast<size_t>(order[i])] = static_cast<std::int64_t>(i);
    std::vector<ScoredCompletion> shuffled;
    for (const std::int64_t from : order) {
      shuffled.push_back(completions[static_cast<size_t>(from)]);
      shuffled.back().partner = place[static_cast<size_t>(shuffled.back().partner)];
    }
    for (const ObjectiveOptions& options : all_losses()) {
      const auto objective = make_objective(options, 0.5);
      const Evaluation before = evaluate(*objective, completions);
      const Evaluation after = evaluate(*objective, shuffled);
      EXPECT_NEAR(before.loss, after.loss, 1e-12 * std::abs(before.loss));
      for (size_t i = 0; i < completions.size(); ++i) {
        const double expected = before.slope[static_cast<size_t>(order[i])];
        EXPECT_NEAR(after.slope[i], expected, 1e-12 * std::abs(expected));
      }
    }
  }
}

}  // namespace
}  // namespace ddro::losses
