// Reductions, counts, weights and errors of the objectives.
#include "ddro/losses/objective.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "ddro/base/error.h"
#include "unit/losses/loss_testing.h"

namespace ddro::losses {
namespace {

using testing::AllOf;
using testing::DoubleEq;
using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

template <class Call>
void expect_error(ErrorKind kind, const testing::Matcher<std::string>& message, Call call) {
  try {
    call();
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    EXPECT_THAT(std::string(error.what()), message);
    EXPECT_THAT(std::string(error.what()), testing::Not(HasSubstr("\n")));
  }
}

TEST(BatchCounts, SumWeightsOfClassesPairsAndTokens) {
  std::vector<ScoredCompletion> completions = paired({-1, -2}, {-3, -4});
  completions.push_back(chosen_at(-5));
  completions[0].weight = completions[1].weight = 2.5;
  completions[0].num_tokens = 4;
  completions[2].num_tokens = 3;
  const BatchCounts counts = batch_counts(completions);
  EXPECT_EQ(counts.chosen, 4.5);
  EXPECT_EQ(counts.rejected, 3.5);
  EXPECT_EQ(counts.pairs, 3.5);
  EXPECT_EQ(counts.chosen_tokens, 14);
}

TEST(Objective, EqualPolicyAndReferenceGiveLogTwo) {
  const double ln2 = std::numbers::ln2;
  std::vector<ScoredCompletion> completions = paired({-31.4}, {-27.1});
  for (ScoredCompletion& completion : completions) completion.ref_logp = completion.logp;
  const Evaluation ddro = evaluate(*make_objective(options_of(LossType::kDdro), 0.5), completions);
  EXPECT_DOUBLE_EQ(ddro.completion_loss[0], ln2);
  EXPECT_DOUBLE_EQ(ddro.completion_loss[1], ln2);
  EXPECT_DOUBLE_EQ(evaluate(*make_objective(options_of(LossType::kSigmoid), 0.5), completions).loss, ln2);
  EXPECT_DOUBLE_EQ(evaluate(*make_objective(options_of(LossType::kRdro), 0.5), completions).loss, 2 * ln2);
}

TEST(Objective, ClassMeanAndPooledDivideAsTheySay) {
  ObjectiveOptions options = options_of(LossType::kDdro);
  const std::vector<ScoredCompletion> completions = unpaired({0.1, -0.2, 0.3}, {-0.4});
  const Evaluation mean = evaluate(*make_objective(options, 0.5), completions);
  options.class_reduction = ClassReduction::kPooled;
  const Evaluation pooled = evaluate(*make_objective(options, 0.5), completions);
  for (size_t i = 0; i < 4; ++i) {
    const double count = i < 3 ? 3 : 1;
    EXPECT_DOUBLE_EQ(mean.completion_loss[i] * count, pooled.completion_loss[i] * 4);
    EXPECT_DOUBLE_EQ(mean.slope[i] * count, pooled.slope[i] * 4);
  }
}

// A micro-batch holds part of the completions, the counts are those of all.
TEST(Objective, CountsOfTheEffectiveBatchDecideTheScale) {
  const std::vector<ScoredCompletion> completions = paired({0.1, -0.2}, {-0.4, 0.3});
  for (const LossType type : all_loss_types()) {
    const auto objective = make_objective(options_of(type), 0.5);
    if (objective->locality() == Locality::kBatch) continue;
    const Evaluation whole = evaluate(*objective, completions);
    const std::span<const ScoredCompletion> first = std::span(completions).first(2);
    EXPECT_EQ(evaluate(*objective, first, batch_counts(completions)).slope,
              std::vector(whole.slope.begin(), whole.slope.begin() + 2));
  }
}

TEST(Objective, AMissingClassContributesNothing) {
  for (const ClassReduction reduction : {ClassReduction::kClassMean, ClassReduction::kPooled}) {
    for (const LossType type : {LossType::kDdro, LossType::kRdro}) {
      ObjectiveOptions options = options_of(type);
      options.class_reduction = reduction;
      const auto objective = make_objective(options, 0.5);
      const Evaluation both = evaluate(*objective, unpaired({0.1}, {-0.2}));
      const double share = reduction == ClassReduction::kPooled ? 2 : 1;
      EXPECT_DOUBLE_EQ(evaluate(*objective, unpaired({0.1}, {})).loss, share * both.completion_loss[0]);
      EXPECT_DOUBLE_EQ(evaluate(*objective, unpaired({}, {-0.2})).loss, share * both.completion_loss[1]);
    }
  }
  const auto sft = make_objective(options_of(LossType::kSft), 0.5);
  EXPECT_EQ(evaluate(*sft, unpaired({}, {-3})).loss, 0);
  EXPECT_TRUE(evaluate(*sft, unpaired({}, {})).completion_loss.empty());
}

TEST(Objective, SftIsTheTokenMeanOfPreferredRows) {
  std::vector<ScoredCompletion> completions = paired({-6, -8}, {-100, -200});
  completions[0].num_tokens = 3;
  completions[2].num_tokens = 5;
  completions[1].num_tokens = completions[3].num_tokens = 1000;
  const Evaluation got = evaluate(*make_objective(options_of(LossType::kSft), 0.5), completions);
  EXPECT_DOUBLE_EQ(got.loss, 14.0 / 8);
  EXPECT_THAT(got.slope, ElementsAre(-0.125, 0, -0.125, 0));
}

TEST(Objective, MixtureNllWeighsTheMeansOfBothClasses) {
  std::vector<ScoredCompletion> completions = unpaired({-6, -8}, {-2, -5, -11});
  completions[1].weight = 3;
  ObjectiveOptions options = options_of(LossType::kMixtureNll);
  options.alpha = 0.3;
  const Evaluation got = evaluate(*make_objective(options, 0.5), completions);
  EXPECT_DOUBLE_EQ(got.loss, 0.3 * (6 + 3 * 8) / 4 + 0.7 * (2 + 5 + 11) / 3);
  const auto unpreferred = DoubleEq(-0.7 / 3);
  EXPECT_THAT(got.slope,
              ElementsAre(DoubleEq(-0.3 / 4), DoubleEq(-0.3 * 3 / 4), unpreferred, unpreferred, unpreferred));
}

// With the share of the rows as alpha each row counts alike, whatever its class.
TEST(Objective, MixtureNllOfTheRowsOwnShareIsTheirMean) {
  const auto completions = unpaired({-6, -8}, {-2, -5, -11});
  const auto objective = make_objective(options_of(LossType::kMixtureNll), 2.0 / 5);
  EXPECT_NEAR(evaluate(*objective, completions).loss, 32.0 / 5, 1e-12);
  EXPECT_FALSE(objective->reads_reference());
  EXPECT_EQ(objective->alpha(), 2.0 / 5);
  EXPECT_TRUE(std::isnan(objective->reward(chosen_at(3))));
  EXPECT_THROW(make_objective(options_of(LossType::kMixtureNll), 1), Error);  // one class
}

TEST(Objective, SigmoidGivesEachRowOfAPairHalf) {
  const Evaluation got =
      evaluate(*make_objective(options_of(LossType::kSigmoid), 0.5), paired({1, 3}, {2, -4}));
  EXPECT_EQ(got.completion_loss[0], got.completion_loss[1]);
  EXPECT_EQ(got.slope[2], -got.slope[3]);
  EXPECT_DOUBLE_EQ(2 * got.completion_loss[0], std::log1p(std::exp(0.1)) / 2);
}

TEST(Objective, PropertiesFollowTheOptions) {
  const auto ddro = make_objective(ddro_options(Generator::kLogistic, 0.4, 10), 0.5);
  EXPECT_EQ(ddro->locality(), Locality::kCompletion);
  EXPECT_TRUE(ddro->reads_reference());
  EXPECT_EQ(ddro->reward(chosen_at(3)), 3);
  EXPECT_EQ(ddro->alpha(), 0.4);
  EXPECT_EQ(make_objective(ddro_options(Generator::kKl, 0.4, 10, Stabilizer::kNnbd), 0.5)->locality(),
            Locality::kBatch);
  const auto sigmoid = make_objective(options_of(LossType::kSigmoid), 0.5);
  EXPECT_EQ(sigmoid->locality(), Locality::kPair);
  EXPECT_EQ(sigmoid->reward(chosen_at(3)), 0.1 * 3);
  EXPECT_EQ(sigmoid->alpha(), 0.5);
  EXPECT_EQ(sigmoid->cap_log_ratio({}), std::numeric_limits<double>::infinity());
  const auto sft = make_objective(options_of(LossType::kSft), 0.5);
  EXPECT_EQ(sft->locality(), Locality::kCompletion);
  EXPECT_FALSE(sft->reads_reference());
  EXPECT_TRUE(std::isnan(sft->alpha()));
  EXPECT_TRUE(std::isnan(sft->reward(chosen_at(3))));
  const auto bco = make_objective(options_of(LossType::kBco), 0.3);
  EXPECT_EQ(bco->locality(), Locality::kBatch);
  EXPECT_EQ(bco->alpha(), 0.3);
  EXPECT_FALSE(bco->needs_mismatched());
  const auto kto = make_objective(options_of(LossType::kKto), 0.5);
  EXPECT_EQ(kto->locality(), Locality::kCompletion);
  EXPECT_TRUE(kto->needs_mismatched());
  EXPECT_FALSE(make_objective(options_of(LossType::kApoZeroUnpaired), 0.5)->needs_mismatched());
}

TEST(Objective, ASumIsAsWideAsItsWidestPart) {
  const auto sum = [](LossTypes types) {
    ObjectiveOptions options;
    options.loss_type = std::move(types);
    return make_objective(options, 0.4);
  };
  EXPECT_EQ(sum({LossType::kSft, LossType::kSigmoid})->locality(), Locality::kPair);
  EXPECT_EQ(sum({LossType::kSigmoid, LossType::kBco})->locality(), Locality::kBatch);
  const auto likelihood_first = sum({LossType::kSft, LossType::kSigmoid});
  EXPECT_TRUE(likelihood_first->reads_reference());
  EXPECT_EQ(likelihood_first->reward(chosen_at(3)), 0.1 * 3);
  EXPECT_EQ(likelihood_first->alpha(), 0.4);
  EXPECT_FALSE(sum({LossType::kCpo, LossType::kSft})->reads_reference());
  EXPECT_TRUE(sum({LossType::kSft, LossType::kKto})->needs_mismatched());
  const auto capped = sum({LossType::kSft, LossType::kDdro});
  EXPECT_EQ(capped->cap_log_ratio({}), make_objective(ObjectiveOptions{}, 0.4)->cap_log_ratio({}));
}

TEST(KlEstimate, IsTheWeightedMeanLogRatioOrZero) {
  std::vector<ScoredCompletion> completions = unpaired({2, -1}, {});
  EXPECT_EQ(kl_estimate(completions), 0.5);
  completions[0].weight = 3;
  EXPECT_EQ(kl_estimate(completions), 1.25);
  completions[0].ref_logp = 5;
  EXPECT_EQ(kl_estimate(completions), 0);
  EXPECT_EQ(kl_estimate({}), 0);
  completions[0].logp = kNan;
  EXPECT_TRUE(std::isnan(kl_estimate(completions)));
}

// W(n) = max(1, a/(1-a)) max(10, sqrt(n)), n the unpreferred completions seen.
TEST(Objective, AnAutomaticCapGrowsWithTheRowsSeen) {
  for (const double alpha : {0.3, 0.5, 0.95}) {
    ObjectiveOptions options = options_of(LossType::kDdro, alpha);
    options.max_weight.reset();
    const auto automatic = make_objective(options, 0.5);
    const std::vector<ScoredCompletion> completions = unpaired({0.2, 5}, {0.1, 7});
    BatchCounts counts = batch_counts(completions);
    for (const auto& [seen, root] : {std::pair{0.0, 10.0}, {100.0, 10.0}, {400.0, 20.0}, {1e6, 1000.0}}) {
      counts.rejected_seen = seen;
      const double weight = std::max(1.0, alpha / (1 - alpha)) * root;
      const auto fixed = make_objective(ddro_options(Generator::kLogistic, alpha, weight), 0.5);
      EXPECT_DOUBLE_EQ(automatic->cap_log_ratio(counts), fixed->cap_log_ratio(counts)) << seen;
      EXPECT_DOUBLE_EQ(evaluate(*automatic, completions, counts).loss,
                       evaluate(*fixed, completions, counts).loss)
          << seen;
    }
  }
  // A set by itself has seen its own completions.
  EXPECT_EQ(batch_counts(unpaired({0}, {1, 2, 3})).rejected_seen, 3);
}

TEST(Objective, NnbdTakesTheAutomaticCap) {
  ObjectiveOptions options = ddro_options(Generator::kLogistic, 0.39, 10, Stabilizer::kNnbd);
  const std::vector<ScoredCompletion> completions = unpaired({0.5, 2}, {-5, 3});
  BatchCounts counts = batch_counts(completions);
  counts.rejected_seen = 2500;
  options.max_weight = 50;
  const double fixed = evaluate(*make_objective(options, 0.5), completions, counts).loss;
  options.max_weight.reset();
  EXPECT_DOUBLE_EQ(evaluate(*make_objective(options, 0.5), completions, counts).loss, fixed);
}

// exp and powers of log-ratios reach infinity only where the loss itself does.
TEST(Objective, AnAutomaticCapThatOverflowsIsRefused) {
  ObjectiveOptions options = options_of(LossType::kDdro);
  options.max_weight.reset();
  EXPECT_NO_THROW(make_objective(options, 0.5));
  options.generator = Generator::kBasu;
  options.basu_power = 60;
  expect_error(ErrorKind::kInput, HasSubstr("[objective.max_weight] the capped loss overflows"),
               [&] { make_objective(options, 0.5); });
}

TEST(Objective, AlphaAutoIsTheDataShare) {
  for (const LossType type : {LossType::kDdro, LossType::kRdro}) {
    ObjectiveOptions options;
    options.loss_type = type;
    EXPECT_EQ(make_objective(options, 0.3)->alpha(), 0.3);
    options.alpha = 0.6;
    EXPECT_EQ(make_objective(options, 0.3)->alpha(), 0.6);
    EXPECT_EQ(make_objective(options, 1)->alpha(), 0.6);
    options.alpha.reset();
    for (const double share : {0.0, 1.0, kNan}) {
      expect_error(ErrorKind::kInput, AllOf(HasSubstr("[objective.alpha]"), HasSubstr("both classes")),
                   [&] { make_objective(options, share); });
    }
  }
  EXPECT_NO_THROW(make_objective(options_of(LossType::kSft), 1));
}

TEST(Objective, MaxWeightMustExceedTheWeightAtTheReference) {
  ObjectiveOptions options;
  options.max_weight = 4;
  expect_error(ErrorKind::kInput, AllOf(HasSubstr("[objective.max_weight]"), HasSubstr("got 4")),
               [&] { make_objective(options, 0.8); });
  EXPECT_NO_THROW(make_objective(options, 0.79));
  options.stabilizer = Stabilizer::kNone;
  EXPECT_NO_THROW(make_objective(options, 0.9));
}

TEST(Objective, ACapThatOverflowsIsRefused) {
  expect_error(ErrorKind::kInput, HasSubstr("[objective.max_weight] the capped loss overflows"),
               [] { make_objective(ddro_options(Generator::kLsif, 0.5, 1e200), 0.5); });
  ObjectiveOptions options = ddro_options(Generator::kBasu, 0.01, 1000);
  options.basu_power = 200;
  expect_error(ErrorKind::kInput, HasSubstr("lower max_weight or basu_power"),
               [&] { make_objective(options, 0.5); });
}

TEST(Objective, RawLossNamesTheRowPastThePole) {
  const auto raw = make_objective(ddro_options(Generator::kLogistic, 0.5, 10, Stabilizer::kNone), 0.5);
  expect_error(ErrorKind::kNonFinite,
               AllOf(HasSubstr("unpreferred completion 3"), HasSubstr("got log-ratio 0.7")), [&] {
                 evaluate(*raw, unpaired({2, 3}, {0.6, 0.7}));
               });
  expect_error(ErrorKind::kNonFinite, HasSubstr("completion 0"),
               [&] { evaluate(*raw, unpaired({}, {-std::log(0.5)})); });
  const auto kl = make_objective(ddro_options(Generator::kKl, 0.5, 10, Stabilizer::kNone), 0.5);
  expect_error(ErrorKind::kNonFinite, HasSubstr("preferred completion 1"), [&] {
    evaluate(*kl, unpaired({0, 2}, {}));
  });
  const auto high = make_objective(ddro_options(Generator::kLogistic, 0.75, 10, Stabilizer::kNone), 0.5);
  expect_error(ErrorKind::kNonFinite, HasSubstr("preferred completion 0"),
               [&] { evaluate(*high, unpaired({0.7}, {})); });
  ObjectiveOptions steep = ddro_options(Generator::kBasu, 0.5, 10, Stabilizer::kNone);
  steep.basu_power = 1000;
  expect_error(ErrorKind::kNonFinite, HasSubstr("completion 0"),
               [&] { evaluate(*make_objective(steep, 0.5), unpaired({}, {0.6931})); });
}

TEST(Objective, NnbdNeedsBothClasses) {
  const auto nnbd = make_objective(ddro_options(Generator::kLogistic, 0.5, 10, Stabilizer::kNnbd), 0.5);
  for (const auto& completions : {unpaired({0.1}, {}), unpaired({}, {0.1})}) {
    expect_error(ErrorKind::kInput, HasSubstr("[objective.stabilizer] nnbd needs both classes"),
                 [&] { evaluate(*nnbd, completions); });
  }
  const std::vector<ScoredCompletion> completions = unpaired({0.1, 0.2}, {0.1});
  expect_error(ErrorKind::kInternal, HasSubstr("whole effective batch"),
               [&] { evaluate(*nnbd, std::span(completions).last(2), batch_counts(completions)); });
}

TEST(Objective, BcoIsOfTheWholeBatch) {
  const auto bco = make_objective(options_of(LossType::kBco), 0.5);
  const std::vector<ScoredCompletion> completions = unpaired({0.1, 0.2}, {0.1});
  expect_error(ErrorKind::kInternal, HasSubstr("whole effective batch"),
               [&] { evaluate(*bco, std::span(completions).last(2), batch_counts(completions)); });
}

TEST(Objective, EveryLossOfPairsNamesARowWithoutPartner) {
  for (const LossType type : all_loss_types()) {
    const auto objective = make_objective(options_of(type), 0.5);
    const std::vector<ScoredCompletion> completions = unpaired({-1}, {-2});
    if (!needs_pairs(type)) {
      EXPECT_NO_THROW(evaluate(*objective, completions));
      continue;
    }
    expect_error(ErrorKind::kInput,
                 AllOf(HasSubstr(loss_name(type)), HasSubstr("completion 0 has no partner")),
                 [&] { evaluate(*objective, completions); });
  }
}

TEST(Objective, SigmoidNeedsPairs) {
  const auto sigmoid = make_objective(options_of(LossType::kSigmoid), 0.5);
  std::vector<ScoredCompletion> completions = paired({1}, {2});
  completions.push_back(chosen_at(0));
  expect_error(ErrorKind::kInput,
               AllOf(HasSubstr("[objective.loss_type]"), HasSubstr("completion 2 has no partner")),
               [&] { evaluate(*sigmoid, completions); });
  completions = paired({1, 1}, {2, 2});
  completions[0].partner = 3;
  expect_error(ErrorKind::kInternal, HasSubstr("partners name each other"),
               [&] { evaluate(*sigmoid, completions); });
}

TEST(Objective, OutputsAndCountsMustFitTheRows) {
  const std::vector<ScoredCompletion> completions = paired({1}, {2});
  std::vector<double> two(2), one(1);
  for (const LossType type : {LossType::kDdro, LossType::kSigmoid, LossType::kSft}) {
    const auto objective = make_objective(options_of(type), 0.5);
    expect_error(ErrorKind::kInternal, HasSubstr("one output a completion"),
                 [&] { objective->evaluate(completions, batch_counts(completions), two, one); });
    expect_error(ErrorKind::kInternal, HasSubstr("counts lack"),
                 [&] { objective->evaluate(completions, {}, two, two); });
  }
}

TEST(Objective, LogProbabilitiesThatAreNotNumbersShow) {
  for (const Stabilizer stabilizer :
       {Stabilizer::kCap, Stabilizer::kCeiling, Stabilizer::kNnbd, Stabilizer::kNone}) {
    const auto objective = make_objective(ddro_options(Generator::kLogistic, 0.5, 10, stabilizer), 0.5);
    EXPECT_TRUE(std::isnan(evaluate(*objective, unpaired({kNan, 0}, {0})).loss));
    EXPECT_TRUE(std::isnan(evaluate(*objective, unpaired({0, 0}, {kNan})).loss));
  }
  for (const LossType type : all_loss_types()) {
    const auto objective = make_objective(options_of(type), 0.5);
    EXPECT_TRUE(std::isnan(evaluate(*objective, paired({kNan, -1}, {-1, -2})).loss)) << loss_name(type);
    if (type == LossType::kSft) continue;
    EXPECT_TRUE(std::isnan(evaluate(*objective, paired({-1, -1}, {-1, kNan})).loss)) << loss_name(type);
  }
  BatchCounts counts = batch_counts(unpaired({0}, {0}));
  counts.kl = kNan;
  const auto kto = make_objective(options_of(LossType::kKto), 0.5);
  EXPECT_TRUE(std::isnan(evaluate(*kto, unpaired({0}, {0}), counts).loss));
}

}  // namespace
}  // namespace ddro::losses
