#include "ddro/losses/objective_options.h"

#include <gmock/gmock.h>

#include <limits>

#include "ddro/base/error.h"
#include "unit/losses/loss_testing.h"

namespace ddro::losses {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

void expect_refused(const ObjectiveOptions& options, const testing::Matcher<std::string>& message) {
  try {
    options.validate();
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(std::string(error.what()), message);
  }
}

ObjectiveOptions with(LossTypes types, std::set<std::string> keys) {
  ObjectiveOptions options;
  options.loss_type = std::move(types);
  options.explicitly_set = std::move(keys);
  return options;
}

TEST(ObjectiveOptions, DefaultsAreValid) {
  for (const LossType type : all_loss_types()) {
    if (type == LossType::kExoPair) continue;
    EXPECT_NO_THROW(with(type, {"loss_type"}).validate());
  }
  expect_refused(
      with(LossType::kExoPair, {"loss_type"}),
      AllOf(HasSubstr("[objective.label_smoothing]"), HasSubstr("exo_pair needs a number above 0")));
}

struct Has {
  LossType type;
  std::set<std::string> keys;
};

// Options of each loss, those that depend on others with the values that give them a meaning.
const std::vector<Has> kHas = {
    {LossType::kDdro, {"alpha", "generator", "basu_power", "stabilizer", "max_weight", "class_reduction"}},
    {LossType::kRdro, {"alpha", "class_reduction"}},
    {LossType::kSigmoid, {"beta", "label_smoothing", "f_divergence_type", "f_alpha_divergence_coef"}},
    {LossType::kRobust, {"beta", "label_smoothing"}},
    {LossType::kHinge, {"beta"}},
    {LossType::kIpo, {"beta"}},
    {LossType::kExoPair, {"beta", "label_smoothing"}},
    {LossType::kNcaPair, {"beta"}},
    {LossType::kBcoPair, {"beta"}},
    {LossType::kSppoHard, {"beta"}},
    {LossType::kApoZero, {"beta"}},
    {LossType::kApoDown, {"beta"}},
    {LossType::kDiscopop, {"beta", "discopop_tau"}},
    {LossType::kSigmoidNorm, {"beta"}},
    {LossType::kSimpo, {"beta", "label_smoothing", "simpo_gamma", "cpo_alpha"}},
    {LossType::kCpo, {"beta", "label_smoothing", "cpo_alpha"}},
    {LossType::kOrpo, {"beta"}},
    {LossType::kKto, {"beta", "desirable_weight", "undesirable_weight"}},
    {LossType::kApoZeroUnpaired, {"beta", "desirable_weight", "undesirable_weight"}},
    {LossType::kBco, {"beta"}},
    {LossType::kSft, {}},
    {LossType::kMixtureNll, {"alpha"}},
};

TEST(ObjectiveOptions, ALossRefusesOptionsItDoesNotHave) {
  std::set<std::string> every_key = {"loss_weights"};
  for (const Has& has : kHas) every_key.insert(has.keys.begin(), has.keys.end());
  ASSERT_EQ(every_key.size(), 16u);
  ASSERT_EQ(kHas.size(), all_loss_types().size());
  for (const Has& has : kHas) {
    SCOPED_TRACE(loss_name(has.type));
    ObjectiveOptions options = options_of(has.type);
    options.generator = Generator::kBasu;
    options.f_divergence_type = FDivergence::kAlphaDivergence;
    options.explicitly_set = has.keys;
    EXPECT_NO_THROW(options.validate());
    for (const std::string& key : every_key) {
      EXPECT_EQ(uses_option(options, key), has.keys.contains(key)) << key;
      if (has.keys.contains(key)) continue;
      options.explicitly_set = {key};
      expect_refused(options, AllOf(HasSubstr("[objective." + key + "]"),
                                    HasSubstr(loss_name(has.type) + " has no such option")));
    }
  }
}

TEST(ObjectiveOptions, SeveralLossesHaveTheOptionsOfEach) {
  const LossTypes both = {LossType::kDdro, LossType::kKto};
  ObjectiveOptions options = with(both, {"alpha", "beta", "desirable_weight", "loss_weights"});
  options.loss_weights = {1, 0.5};
  EXPECT_NO_THROW(options.validate());
  expect_refused(with(both, {"discopop_tau"}), HasSubstr("loss_type ddro+kto has no such option"));
  EXPECT_TRUE(needs_mismatched(both));
  EXPECT_FALSE(needs_pairs(both));
  EXPECT_TRUE(needs_pairs({LossType::kDdro, LossType::kSigmoid}));
  EXPECT_TRUE(needs_reference({LossType::kSft, LossType::kSigmoid}));
  EXPECT_FALSE(needs_reference({LossType::kSft, LossType::kCpo}));
}

TEST(ObjectiveOptions, ListsOfLossesAreChecked) {
  expect_refused(with(LossTypes(std::vector<LossType>{}), {}), HasSubstr("got an empty list"));
  expect_refused(with({LossType::kSft, LossType::kSigmoid, LossType::kSft}, {}),
                 AllOf(HasSubstr("[objective.loss_type]"), HasSubstr("names sft twice")));
  ObjectiveOptions options = with({LossType::kSft, LossType::kSigmoid}, {"loss_weights"});
  options.loss_weights = {1};
  expect_refused(options, HasSubstr("[objective.loss_weights] one a loss; got 1, expected 2"));
  for (const double weight : {0.0, -1.0, kNan, kInfinity}) {
    options.loss_weights = {1, weight};
    expect_refused(options, HasSubstr("[objective.loss_weights] out of range"));
  }
}

TEST(ObjectiveOptions, SomeOptionsDependOnOthers) {
  ObjectiveOptions options = with(LossType::kDdro, {"basu_power"});
  expect_refused(options, AllOf(HasSubstr("[objective.basu_power]"), HasSubstr("generator basu only")));
  EXPECT_FALSE(uses_option(options, "basu_power"));
  options.generator = Generator::kBasu;
  EXPECT_NO_THROW(options.validate());
  EXPECT_TRUE(uses_option(options, "basu_power"));
  options = with(LossType::kDdro, {"max_weight"});
  options.stabilizer = Stabilizer::kNone;
  expect_refused(options, AllOf(HasSubstr("[objective.max_weight]"), HasSubstr("stabilizer none")));
  options = with(LossType::kSigmoid, {"f_alpha_divergence_coef"});
  expect_refused(options, HasSubstr("has this option with f_divergence_type alpha_divergence only"));
  options.f_divergence_type = FDivergence::kAlphaDivergence;
  EXPECT_NO_THROW(options.validate());
  EXPECT_TRUE(uses_option(options, "loss_type"));
  EXPECT_THROW(uses_option(options, "objective.beta"), Error);
}

TEST(ObjectiveOptions, RangesAreChecked) {
  for (const double alpha : {0.0, 1.0, -0.5, 2.0, kNan, kInfinity}) {
    ObjectiveOptions options;
    options.alpha = alpha;
    expect_refused(options, HasSubstr("[objective.alpha]"));
  }
  for (const double value : {0.0, -1.0, kNan, kInfinity}) {
    ObjectiveOptions options;
    options.max_weight = value;
    expect_refused(options, HasSubstr("[objective.max_weight]"));
    options = {};
    options.generator = Generator::kBasu;
    options.basu_power = value;
    expect_refused(options, HasSubstr("[objective.basu_power]"));
    options = with(LossType::kSigmoid, {});
    options.beta = value;
    expect_refused(options, HasSubstr("[objective.beta]"));
    options = with(LossType::kDiscopop, {});
    options.discopop_tau = value;
    expect_refused(options, HasSubstr("[objective.discopop_tau]"));
  }
  for (const double value : {-1.0, kNan, kInfinity}) {
    ObjectiveOptions options = with(LossType::kSimpo, {});
    options.simpo_gamma = value;
    expect_refused(options, HasSubstr("[objective.simpo_gamma]"));
    options = with(LossType::kCpo, {});
    options.cpo_alpha = value;
    expect_refused(options, HasSubstr("[objective.cpo_alpha]"));
    options = with(LossType::kKto, {});
    options.desirable_weight = value;
    expect_refused(options, HasSubstr("[objective.desirable_weight]"));
    options = with(LossType::kApoZeroUnpaired, {});
    options.undesirable_weight = value;
    expect_refused(options, HasSubstr("[objective.undesirable_weight]"));
  }
  for (const double value : {-0.1, 0.5, 1.0, kNan}) {
    ObjectiveOptions options = with(LossType::kRobust, {});
    options.label_smoothing = value;
    expect_refused(options, HasSubstr("[objective.label_smoothing]"));
  }
  for (const double value : {1.0, kNan, kInfinity}) {
    ObjectiveOptions options = with(LossType::kSigmoid, {});
    options.f_divergence_type = FDivergence::kAlphaDivergence;
    options.f_alpha_divergence_coef = value;
    expect_refused(options, AllOf(HasSubstr("[objective.f_alpha_divergence_coef]"), HasSubstr("reverse_kl")));
  }
}

TEST(ObjectiveOptions, MaxWeightIsComparedWithAGivenAlpha) {
  ObjectiveOptions options;
  options.alpha = 0.5;
  options.max_weight = 1;
  expect_refused(options, AllOf(HasSubstr("[objective.max_weight]"), HasSubstr("alpha/(1 - alpha) = 1")));
  options.max_weight = 1.0001;
  EXPECT_NO_THROW(options.validate());
  options.alpha = 0.99;
  options.max_weight.reset();
  EXPECT_NO_THROW(options.validate());
}

TEST(ObjectiveOptions, NnbdRefusesPooled) {
  ObjectiveOptions options;
  options.stabilizer = Stabilizer::kNnbd;
  EXPECT_NO_THROW(options.validate());
  options.class_reduction = ClassReduction::kPooled;
  expect_refused(options, AllOf(HasSubstr("[objective.class_reduction]"), HasSubstr("nnbd")));
}

TEST(ObjectiveOptions, FactsOfEachLoss) {
  EXPECT_EQ(loss_name(LossType::kDdro), "ddro");
  EXPECT_EQ(loss_name({LossType::kSigmoid, LossType::kBcoPair}), "sigmoid+bco_pair");
  EXPECT_TRUE(needs_reference(LossType::kDdro));
  EXPECT_FALSE(needs_reference(LossType::kSft));
  EXPECT_FALSE(needs_reference(LossType::kOrpo));
  EXPECT_TRUE(needs_pairs(LossType::kSigmoid));
  EXPECT_FALSE(needs_pairs(LossType::kRdro));
  EXPECT_FALSE(needs_pairs(LossType::kBco));
  EXPECT_TRUE(needs_mismatched(LossType::kKto));
  EXPECT_FALSE(needs_mismatched(LossType::kBco));
}

TEST(ObjectiveOptions, NamesAreUniqueAndIncludeOthersThatUsersKnow) {
  std::set<std::string> unique;
  for (const auto& [name, type] : loss_names()) EXPECT_TRUE(unique.insert(name).second) << name;
  for (const char* name : {"ddro", "dpo", "dpo_norm", "apo_zero_unpaired", "simpo"})
    EXPECT_TRUE(unique.contains(name)) << name;
}

}  // namespace
}  // namespace ddro::losses
