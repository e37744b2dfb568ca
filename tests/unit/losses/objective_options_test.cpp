#include "ddro/losses/objective_options.h"

#include <gmock/gmock.h>

#include <limits>

#include "ddro/base/error.h"

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

ObjectiveOptions with(LossType type, std::set<std::string> keys) {
  ObjectiveOptions options;
  options.loss_type = type;
  options.explicitly_set = std::move(keys);
  return options;
}

TEST(ObjectiveOptions, DefaultsAreValid) {
  for (const LossType type : {LossType::kDdro, LossType::kRdro, LossType::kSigmoid, LossType::kSft}) {
    EXPECT_NO_THROW(with(type, {"loss_type"}).validate());
  }
}

TEST(ObjectiveOptions, ALossRefusesOptionsItDoesNotHave) {
  EXPECT_NO_THROW(with(LossType::kDdro, {"alpha", "generator", "stabilizer", "max_weight", "class_reduction"})
                      .validate());
  EXPECT_NO_THROW(with(LossType::kRdro, {"alpha", "class_reduction"}).validate());
  EXPECT_NO_THROW(with(LossType::kSigmoid, {"beta"}).validate());
  expect_refused(with(LossType::kDdro, {"beta"}), AllOf(HasSubstr("[objective.beta]"), HasSubstr("ddro")));
  for (const char* key : {"generator", "basu_power", "stabilizer", "max_weight", "beta"}) {
    expect_refused(with(LossType::kRdro, {key}), AllOf(HasSubstr(key), HasSubstr("rdro has no such option")));
  }
  for (const char* key :
       {"alpha", "generator", "basu_power", "stabilizer", "max_weight", "class_reduction"}) {
    expect_refused(with(LossType::kSigmoid, {key}), AllOf(HasSubstr(key), HasSubstr("sigmoid")));
    expect_refused(with(LossType::kSft, {key}), AllOf(HasSubstr(key), HasSubstr("sft")));
  }
  expect_refused(with(LossType::kSft, {"beta"}), HasSubstr("[objective.beta]"));
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
  }
}

TEST(ObjectiveOptions, MaxWeightIsComparedWithAGivenAlpha) {
  ObjectiveOptions options;
  options.alpha = 0.5;
  options.max_weight = 1;
  expect_refused(options, AllOf(HasSubstr("[objective.max_weight]"), HasSubstr("alpha/(1 - alpha) = 1")));
  options.max_weight = 1.0001;
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
  EXPECT_STREQ(loss_name(LossType::kDdro), "ddro");
  EXPECT_STREQ(loss_name(LossType::kRdro), "rdro");
  EXPECT_STREQ(loss_name(LossType::kSigmoid), "sigmoid");
  EXPECT_STREQ(loss_name(LossType::kSft), "sft");
  EXPECT_TRUE(needs_reference(LossType::kDdro));
  EXPECT_FALSE(needs_reference(LossType::kSft));
  EXPECT_TRUE(needs_pairs(LossType::kSigmoid));
  EXPECT_FALSE(needs_pairs(LossType::kRdro));
}

}  // namespace
}  // namespace ddro::losses
