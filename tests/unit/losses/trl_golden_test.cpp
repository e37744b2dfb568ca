// Each loss's value a pair or completion against the numbers of other trainers' own code in float64
// (forward_kl, js and alpha divergences: in float32), at three pairs of log-probabilities.
#include <gmock/gmock.h>

#include <functional>

#include "unit/losses/loss_testing.h"

namespace ddro::losses {
namespace {

// l+ = 1, 0.5, -2.25; l- = -0.5, 1.5, -5.
std::vector<ScoredCompletion> three_pairs() {
  std::vector<ScoredCompletion> completions = paired({-12, -35.5, -80.25}, {-14, -30, -95});
  const std::vector<double> reference = {-13, -13.5, -36, -31.5, -78, -90};
  const std::vector<std::int64_t> tokens = {8, 10, 20, 16, 40, 50};
  for (size_t i = 0; i < completions.size(); ++i) {
    completions[i].ref_logp = reference[i];
    completions[i].num_tokens = tokens[i];
  }
  return completions;
}

// The preferred completions of three_pairs, then the first `num_rejected` others.
std::vector<ScoredCompletion> single_rows(size_t num_rejected) {
  const std::vector<ScoredCompletion> pairs = three_pairs();
  std::vector<ScoredCompletion> completions = {pairs[0], pairs[2], pairs[4]};
  for (size_t i = 0; i < num_rejected; ++i) completions.push_back(pairs[2 * i + 1]);
  for (ScoredCompletion& completion : completions) completion.partner = -1;
  return completions;
}

struct Golden {
  const char* name;
  LossType type;
  std::function<void(ObjectiveOptions&)> set;
  std::vector<double> pairs;
  double mean;
  double tolerance = 1e-7;
};

void PrintTo(const Golden& golden, std::ostream* out) { *out << golden.name; }

class PairGolden : public testing::TestWithParam<Golden> {};

TEST_P(PairGolden, ValuesAgree) {
  const Golden& golden = GetParam();
  ObjectiveOptions options = options_of(golden.type);
  options.cpo_alpha = 0;
  golden.set(options);
  const Evaluation got = evaluate(*make_objective(options, 0.5), three_pairs());
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(3 * (got.completion_loss[2 * i] + got.completion_loss[2 * i + 1]), golden.pairs[i],
                golden.tolerance);
  }
  EXPECT_NEAR(got.loss, golden.mean, golden.tolerance);
}

void defaults(ObjectiveOptions&) {}
void smoothed(ObjectiveOptions& options) { options.label_smoothing = 0.1; }
void simpo(ObjectiveOptions& options) { options.beta = 2; }
std::function<void(ObjectiveOptions&)> with(FDivergence divergence) {
  return [divergence](ObjectiveOptions& options) { options.f_divergence_type = divergence; };
}

const std::vector<Golden> kPairs = {
    {"sigmoid", LossType::kSigmoid, defaults, {0.62095705, 0.74439666, 0.56507067}, 0.64347479},
    {"cdpo", LossType::kSigmoid, smoothed, {0.63595705, 0.73439666, 0.59257067}, 0.65430813},
    {"robust", LossType::kRobust, smoothed, {0.60220705, 0.75689666, 0.53069567}, 0.62993313},
    {"hinge", LossType::kHinge, defaults, {0.85, 1.1, 0.725}, 0.89166667},
    {"ipo", LossType::kIpo, defaults, {23.280625, 25.69222656, 24.56441406}, 24.51242188},
    {"exo_pair", LossType::kExoPair, smoothed, {0.43138846, 0.56695895, 0.37007579}, 0.45614106},
    {"exo_pair_slight",
     LossType::kExoPair,
     [](ObjectiveOptions& options) { options.label_smoothing = 1e-3; },
     {2.50551656, 2.93500427, 2.29872585},
     2.57974889},
    {"nca_pair", LossType::kNcaPair, defaults, {1.35082481, 1.41316800, 1.34248150}, 1.36882477},
    {"bco_pair", LossType::kBcoPair, defaults, {1.31285631, 1.43941670, 1.28603899}, 1.34610400},
    {"sppo_hard", LossType::kSppoHard, defaults, {36.25, 62.5, 52.5625}, 50.4375},
    {"apo_zero", LossType::kApoZero, defaults, {0.96252342, 1.02493245, 0.93355456}, 0.97367014},
    {"apo_down", LossType::kApoDown, defaults, {0.98754934, 1.03747658, 0.87566613}, 0.96689735},
    {"discopop", LossType::kDiscopop, defaults, {0.84933758, 0.78740201, 0.75878048}, 0.79850669},
    {"sigmoid_norm", LossType::kSigmoidNorm, defaults, {0.68443546, 0.69659059, 0.69096207}, 0.69066271},
    {"forward_kl",
     LossType::kSigmoid,
     with(FDivergence::kForwardKl),
     {0.6311544, 0.7125009, 9.3e-07},
     0.4478854,
     1e-6},
    {"js_divergence",
     LossType::kSigmoid,
     with(FDivergence::kJsDivergence),
     {0.6606522, 0.7068733, 0.5691172},
     0.6455476,
     1e-6},
    {"alpha_divergence",
     LossType::kSigmoid,
     with(FDivergence::kAlphaDivergence),
     {0.6276909, 0.7242600, 0.1501013},
     0.5006841,
     1e-6},
    {"cpo", LossType::kCpo, defaults, {0.59813887, 1.00549248, 0.20602077}, 0.60321737},
    {"cpo_smoothed", LossType::kCpo, smoothed, {0.61813887, 0.95049248, 0.35352077}, 0.64071737},
    {"simpo", LossType::kSimpo, simpo, {1.10318605, 0.85435524, 1.11155569}, 1.02303233},
    {"simpo_smoothed",
     LossType::kSimpo,
     [](ObjectiveOptions& options) {
       simpo(options);
       smoothed(options);
     },
     {1.03318605, 0.82435524, 1.04030569},
     0.96594900},
};

INSTANTIATE_TEST_SUITE_P(Losses, PairGolden, testing::ValuesIn(kPairs),
                         [](const testing::TestParamInfo<Golden>& entry) { return entry.param.name; });

// Token-mean likelihood of the preferred completions: (12 + 35.5 + 80.25) / 68.
constexpr double kLikelihood = 127.75 / 68;

TEST(Golden, OrpoIsTheOddsTermAndTheLikelihood) {
  const Evaluation got = evaluate(*make_objective(options_of(LossType::kOrpo), 0.5), three_pairs());
  EXPECT_NEAR(got.loss, 0.07176322 + kLikelihood, 1e-7);
  const std::vector<double> odds = {0.07606163, 0.06353064, 0.07569739};
  const std::vector<double> nll = {12, 35.5, 80.25};
  for (size_t i = 0; i < 3; ++i) {
    const double pair = got.completion_loss[2 * i] + got.completion_loss[2 * i + 1];
    EXPECT_NEAR(pair - nll[i] / 68, odds[i] / 3, 1e-7);
  }
}

TEST(Golden, CpoAlphaWeighsTheLikelihood) {
  const auto loss = [](LossType type, std::optional<double> cpo_alpha) {
    ObjectiveOptions options = options_of(type);
    options.cpo_alpha = cpo_alpha;
    if (type == LossType::kSimpo) options.beta = 2;
    return evaluate(*make_objective(options, 0.5), three_pairs()).loss;
  };
  EXPECT_NEAR(loss(LossType::kCpo, std::nullopt), 0.60321737 + kLikelihood, 1e-7);
  EXPECT_NEAR(loss(LossType::kCpo, 0.25), 0.60321737 + kLikelihood / 4, 1e-7);
  EXPECT_NEAR(loss(LossType::kSimpo, std::nullopt), 1.02303233, 1e-7);
  EXPECT_NEAR(loss(LossType::kSimpo, 1), 1.02303233 + kLikelihood, 1e-7);
}

void expect_rows(const ObjectiveOptions& options, const std::vector<ScoredCompletion>& completions, double kl,
                 const std::vector<double>& values, double pooled) {
  BatchCounts counts = batch_counts(completions);
  counts.kl = kl;
  const Evaluation got = evaluate(*make_objective(options, 0.5), completions, counts);
  for (size_t i = 0; i < completions.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(completions.size()) * got.completion_loss[i], values[i], 1e-7);
  }
  EXPECT_NEAR(got.loss, pooled, 1e-7);
}

TEST(Golden, Kto) {
  ObjectiveOptions options = options_of(LossType::kKto);
  options.undesirable_weight = 1.5;
  expect_rows(options, single_rows(2), 0.4, {0.48500450, 0.49750002, 0.56586500, 0.71627276, 0.79120846},
              0.61117015);
}

TEST(Golden, ApoZeroUnpairedHasNoReferencePoint) {
  ObjectiveOptions options = options_of(LossType::kApoZeroUnpaired);
  options.undesirable_weight = 1.5;
  expect_rows(options, single_rows(2), 0.4, {0.47502081, 0.48750260, 0.55601389, 0.73125391, 0.80614477},
              0.61118720);
}

TEST(Golden, BcoComparesWithTheMeanReward) {
  expect_rows(options_of(LossType::kBco), single_rows(3), 0,
              {0.60757108, 0.63064790, 0.76871991, 0.70783685, 0.81428087, 0.50470665}, 0.67229388);
}

TEST(Golden, SeveralLossesAreAddedUpByWeight) {
  ObjectiveOptions options;
  options.loss_type = {LossType::kSigmoid, LossType::kBcoPair, LossType::kSft};
  options.loss_weights = {0.8, 0.2, 1.0};
  EXPECT_NEAR(evaluate(*make_objective(options, 0.5), three_pairs()).loss,
              0.8 * 0.64347479 + 0.2 * 1.34610400 + kLikelihood, 1e-7);
  options.loss_weights.clear();
  EXPECT_NEAR(evaluate(*make_objective(options, 0.5), three_pairs()).loss,
              0.64347479 + 1.34610400 + kLikelihood, 1e-7);
}

}  // namespace
}  // namespace ddro::losses
