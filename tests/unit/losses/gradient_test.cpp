// Slopes against central differences on both sides of each branch point, and what happens at extreme
// log-ratios.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <string>

#include "unit/losses/loss_testing.h"

namespace ddro::losses {
namespace {

struct Case {
  std::string name;
  ObjectiveOptions options;
};

std::vector<Case> ratio_losses() {
  std::vector<Case> cases;
  for (const double alpha : {0.39, 0.5, 0.7}) {
    const std::string at = " alpha " + std::to_string(alpha);
    for (const Stabilizer stabilizer : {Stabilizer::kCap, Stabilizer::kCeiling, Stabilizer::kNnbd}) {
      for (const Generator generator :
           {Generator::kLogistic, Generator::kKl, Generator::kLsif, Generator::kBasu}) {
        cases.push_back({"ddro " + std::to_string(static_cast<int>(generator)) + at,
                         ddro_options(generator, alpha, 10, stabilizer)});
      }
    }
    cases.push_back({"rdro" + at, options_of(LossType::kRdro, alpha)});
  }
  return cases;
}

void expect_central_differences(const Objective& objective, std::vector<ScoredCompletion> completions,
                                double step) {
  const Evaluation at = evaluate(objective, completions);
  for (size_t i = 0; i < completions.size(); ++i) {
    const double logp = completions[i].logp;
    completions[i].logp = logp + step;
    const double above = evaluate(objective, completions).loss;
    completions[i].logp = logp - step;
    const double below = evaluate(objective, completions).loss;
    completions[i].logp = logp;
    const double scale = std::max(1.0, std::abs(above));
    EXPECT_NEAR(at.slope[i], (above - below) / (2 * step),
                scale * 2e-15 / step + 1e-6 * std::abs(at.slope[i]))
        << "completion " << i << " at " << logp;
  }
}

TEST(Gradient, IsTheDerivativeOnBothSidesOfEachBranchPoint) {
  for (const Case& c : ratio_losses()) {
    SCOPED_TRACE(c.name);
    const auto objective = make_objective(c.options, 0.5);
    const double pole = -std::log(*c.options.alpha);
    const double cap = pole - std::log1p(0.1);
    // log1mexp, softplus and sigmoid change branches at 0 and at log alpha + l = -log 2; the cap is its own.
    for (const double branch : {0.0, cap, pole, pole - std::log(2.0)}) {
      for (const double side : {-1e-5, 1e-5}) {
        expect_central_differences(*objective, unpaired({branch + side}, {branch + side}), 1e-6);
      }
    }
    for (const double l : {-50.0, -1.0, 3.0, 50.0}) {
      expect_central_differences(*objective, unpaired({l, 0.1}, {l, -0.2}), 1e-5);
    }
  }
}

// Every loss of pairs, in the variants that its options make.
std::vector<Case> pair_losses() {
  std::vector<Case> cases;
  for (const LossType type : all_loss_types()) {
    if (needs_pairs(type)) cases.push_back({loss_name(type), options_of(type)});
  }
  for (const LossType type : {LossType::kSigmoid, LossType::kRobust, LossType::kSimpo, LossType::kCpo}) {
    cases.push_back({loss_name(type) + " smoothed", options_of(type)});
    cases.back().options.label_smoothing = 0.2;
  }
  for (const FDivergence divergence :
       {FDivergence::kForwardKl, FDivergence::kJsDivergence, FDivergence::kAlphaDivergence}) {
    cases.push_back({"divergence " + std::to_string(static_cast<int>(divergence)), {}});
    cases.back().options = options_of(LossType::kSigmoid);
    cases.back().options.f_divergence_type = divergence;
  }
  cases.push_back({"alpha above 1", cases.back().options});
  cases.back().options.f_alpha_divergence_coef = 1.5;
  cases.push_back({"several", {}});
  cases.back().options.loss_type = {LossType::kSigmoid, LossType::kBcoPair, LossType::kSft};
  cases.back().options.loss_weights = {0.8, 0.2, 1.5};
  return cases;
}

TEST(Gradient, OfPairsIsTheDerivative) {
  for (const Case& c : pair_losses()) {
    SCOPED_TRACE(c.name);
    const auto objective = make_objective(c.options, 0.5);
    for (const double l : {-20.0, -1.0, -1e-3, 1e-3, 2.0, 11.0}) {
      // Log-probabilities below 0, as some losses need them; log-ratios of either sign.
      std::vector<ScoredCompletion> completions = paired({l - 60, -5.7}, {-60, -7});
      const std::vector<std::int64_t> tokens = {7, 5, 3, 4};
      for (size_t i = 0; i < completions.size(); ++i) {
        completions[i].ref_logp = i < 2 ? -60 : -6;
        completions[i].num_tokens = tokens[i];
      }
      expect_central_differences(*objective, completions, 1e-4);
    }
  }
  const auto sft = make_objective(options_of(LossType::kSft), 0.5);
  expect_central_differences(*sft, paired({-3, -7}, {-2, -9}), 1e-4);
  const auto mixture = make_objective(options_of(LossType::kMixtureNll), 0.3);
  expect_central_differences(*mixture, paired({-3, -7}, {-2, -9}), 1e-4);
}

TEST(Gradient, OfRowsIsTheDerivative) {
  for (const LossType type : {LossType::kKto, LossType::kApoZeroUnpaired}) {
    ObjectiveOptions options = options_of(type);
    options.undesirable_weight = 1.5;
    const auto objective = make_objective(options, 0.5);
    for (const double l : {-50.0, -1.0, 0.0, 2.0, 50.0}) {
      expect_central_differences(*objective, unpaired({l, 0.3}, {l, -0.4}), 1e-4);
    }
  }
}

// The mean reward is a constant of the step: only the logistic terms are differentiated.
TEST(Gradient, OfBcoHoldsTheMeanReward) {
  const std::vector<ScoredCompletion> completions = unpaired({3, -0.7}, {1, -4, 2.5});
  const Evaluation got = evaluate(*make_objective(options_of(LossType::kBco), 0.5), completions);
  const double mean = 0.1 * (3 - 0.7 + 1 - 4 + 2.5) / 5;
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  for (size_t i = 0; i < completions.size(); ++i) {
    const double x = 0.1 * completions[i].logp - mean;
    EXPECT_NEAR(got.slope[i], 0.1 / 5 * (completions[i].chosen ? -sigmoid(-x) : sigmoid(x)), 1e-16);
  }
}

// Where the loss is a number that a double can hold, so are its derivatives; no intermediate overflows.
TEST(Gradient, OfEveryLossIsFiniteAtExtremeLogRatios) {
  std::vector<Case> cases = pair_losses();
  for (const LossType type : {LossType::kKto, LossType::kApoZeroUnpaired, LossType::kBco})
    cases.push_back({loss_name(type), options_of(type)});
  for (const Case& c : cases) {
    for (const double beta : {0.1, 1.0}) {
      SCOPED_TRACE(c.name);
      ObjectiveOptions options = c.options;
      options.beta = beta;
      const auto objective = make_objective(options, 0.5);
      for (const double chosen : {-1e4, -50.0, 0.0, 50.0, 1e4}) {
        for (const double rejected : {-1e4, -50.0, 0.0, 50.0, 1e4}) {
          std::vector<ScoredCompletion> completions =
              paired({std::min(chosen, 0.0)}, {std::min(rejected, 0.0)});
          completions[0].ref_logp = completions[0].logp - chosen;
          completions[1].ref_logp = completions[1].logp - rejected;
          const Evaluation got = evaluate(*objective, completions);
          for (size_t i = 0; i < 2; ++i) {
            EXPECT_TRUE(std::isfinite(got.completion_loss[i])) << chosen << " " << rejected;
            EXPECT_TRUE(std::isfinite(got.slope[i])) << chosen << " " << rejected;
          }
        }
      }
    }
  }
}

// Beyond an exponent of 80 the exponential divergences go on linearly, value and slope unbroken.
TEST(Gradient, DivergencesAreContinuousWhereTheyTurnLinear) {
  ObjectiveOptions options = options_of(LossType::kSigmoid);
  options.f_divergence_type = FDivergence::kForwardKl;
  options.beta = 1e-30;  // keeps the logistic loss from saturating
  const auto objective = make_objective(options, 0.5);
  const Evaluation before = evaluate(*objective, paired({-80 + 1e-9}, {0}));
  const Evaluation after = evaluate(*objective, paired({-80 - 1e-9}, {0}));
  const Evaluation far = evaluate(*objective, paired({-90}, {0}));
  EXPECT_NEAR(before.loss, after.loss, 1e-8 * before.loss);
  EXPECT_NEAR(before.slope[0], after.slope[0], 1e-8 * std::abs(before.slope[0]));
  EXPECT_NEAR(far.slope[0], after.slope[0], 1e-8 * std::abs(after.slope[0]));
  EXPECT_NEAR(far.loss - after.loss, -10 * after.slope[0], 1e-8 * far.loss);
}

TEST(Gradient, OfNnbdIsTheDerivativeOnBothSidesOfTheBracket) {
  const auto nnbd = make_objective(ddro_options(Generator::kLogistic, 0.39, 10, Stabilizer::kNnbd), 0.5);
  expect_central_differences(*nnbd, unpaired({-1, 0.3}, {-1, 0}), 1e-5);  // positive
  expect_central_differences(*nnbd, unpaired({0.5, 2}, {-5, -1}), 1e-5);  // negative
  const Evaluation inactive = evaluate(*nnbd, unpaired({0.5, 2}, {-5, -1}));
  EXPECT_EQ(inactive.slope[2], 0);
  EXPECT_EQ(inactive.completion_loss[2], 0);
}

// At the cap the two pieces meet in value and slope, and the unpreferred slope there is W + k r/(1 + k r).
TEST(Gradient, IsContinuousAtTheCap) {
  for (const double alpha : {0.39, 0.5, 0.7}) {
    for (const Generator generator :
         {Generator::kLogistic, Generator::kKl, Generator::kLsif, Generator::kBasu}) {
      const auto objective = make_objective(ddro_options(generator, alpha, 10), 0.5);
      const double cap = objective->cap_log_ratio({});
      EXPECT_NEAR(cap, std::log(10 / (alpha * 11)), 1e-15);
      const Evaluation below = evaluate(*objective, unpaired({cap - 1e-12}, {cap - 1e-12}));
      const Evaluation above = evaluate(*objective, unpaired({cap + 1e-12}, {cap + 1e-12}));
      for (size_t i = 0; i < 2; ++i) {
        EXPECT_NEAR(below.completion_loss[i], above.completion_loss[i], 1e-7);
        EXPECT_NEAR(below.slope[i], above.slope[i], 1e-7);
      }
      if (generator != Generator::kLogistic) continue;
      const double kr = (1 - 2 * alpha) * std::exp(cap);
      EXPECT_NEAR(above.slope[1], 10 + kr / (1 + kr), 1e-12);
      EXPECT_EQ(above.slope[1], evaluate(*objective, unpaired({cap + 5}, {cap + 5})).slope[1]);
    }
  }
}

TEST(Gradient, IsFiniteAtExtremeLogRatios) {
  std::vector<Case> cases = ratio_losses();
  cases.push_back({"sft", options_of(LossType::kSft)});
  cases.push_back({"mixture_nll", options_of(LossType::kMixtureNll)});
  for (const double alpha : {1e-9, 1 - 1e-9}) {
    cases.push_back({"ddro", ddro_options(Generator::kLogistic, alpha, 1e10)});
    cases.push_back({"rdro", options_of(LossType::kRdro, alpha)});
  }
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto objective = make_objective(c.options, 0.5);
    const double pole = c.options.alpha ? -std::log(*c.options.alpha) : 0;
    for (const double l : {-1e4, -50.0, -1.0, 0.0, pole - 1e-6, pole, 50.0, 1e4}) {
      const Evaluation got = evaluate(*objective, unpaired({l}, {l}));
      for (size_t i = 0; i < 2; ++i) {
        EXPECT_TRUE(std::isfinite(got.completion_loss[i])) << l;
        EXPECT_TRUE(std::isfinite(got.slope[i])) << l;
      }
    }
  }
  const auto sigmoid = make_objective(options_of(LossType::kSigmoid), 0.5);
  for (const double l : {-1e4, 1e4}) {
    const Evaluation got = evaluate(*sigmoid, paired({l}, {-l}));
    EXPECT_EQ(got.loss, l < 0 ? 0.2e4 : 0);
    EXPECT_EQ(got.slope[0], l < 0 ? -0.1 : 0);
  }
}

// The raw loss is the capped one short of the cap, and goes on to the pole.
TEST(Gradient, RawLossIsFiniteUpToThePole) {
  for (const double alpha : {0.39, 0.5, 0.7}) {
    const double pole = -std::log(alpha);
    for (const Generator generator :
         {Generator::kLogistic, Generator::kKl, Generator::kLsif, Generator::kBasu}) {
      const auto raw = make_objective(ddro_options(generator, alpha, 10, Stabilizer::kNone), 0.5);
      const auto capped = make_objective(ddro_options(generator, alpha, 1e6), 0.5);
      EXPECT_EQ(raw->cap_log_ratio({}), std::numeric_limits<double>::infinity());
      for (const double l : {-1e4, -50.0, -1.0, 0.0, pole - 1e-5}) {
        const Evaluation got = evaluate(*raw, unpaired({l}, {l}));
        const Evaluation expected = evaluate(*capped, unpaired({l}, {l}));
        EXPECT_EQ(got.completion_loss, expected.completion_loss);
        EXPECT_EQ(got.slope, expected.slope);
      }
      const Evaluation last = evaluate(*raw, unpaired({pole - 1e-6}, {pole - 1e-6}));
      EXPECT_TRUE(std::isfinite(last.loss));
    }
  }
  // A preferred completion of the logistic loss meets a pole only where 1 + k r = 0.
  const auto half = make_objective(ddro_options(Generator::kLogistic, 0.5, 10, Stabilizer::kNone), 0.5);
  EXPECT_NEAR(evaluate(*half, unpaired({1e4}, {})).loss, std::log(2.0) - 1e4, 1e-9);
  EXPECT_EQ(evaluate(*half, unpaired({1e4}, {})).slope[0], -1);
  const auto below = make_objective(ddro_options(Generator::kLogistic, 0.25, 10, Stabilizer::kNone), 0.5);
  EXPECT_NEAR(evaluate(*below, unpaired({1e4}, {})).loss, std::log(0.5 / 0.75), 1e-9);
  EXPECT_EQ(evaluate(*below, unpaired({1e4}, {})).slope[0], 0);
  const auto above = make_objective(ddro_options(Generator::kLogistic, 0.75, 10, Stabilizer::kNone), 0.5);
  EXPECT_TRUE(std::isfinite(evaluate(*above, unpaired({std::log(2.0) - 1e-9}, {})).loss));
}

}  // namespace
}  // namespace ddro::losses
