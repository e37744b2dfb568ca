#include "ddro/train/schedule.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "ddro/base/json.h"
#include "support/expect_error.h"
#include "support/fixtures.h"

namespace ddro::train {
namespace {

Schedule schedule_of(const std::string& name) {
  for (const auto& entry : EnumNames<Schedule>::kNames) {
    if (name == entry.name) return entry.value;
  }
  throw std::runtime_error("no schedule " + name);
}

OptimizerOptions options_of(const Json& entry) {
  OptimizerOptions options;
  options.learning_rate = 3e-5;
  options.lr_scheduler_type = schedule_of(entry["name"]);
  options.lr_scheduler_kwargs = entry["kwargs"];
  options.warmup_ratio = 0;
  options.warmup_steps = entry["warmup"];
  return options;
}

// Rates recorded from transformers' get_scheduler; 0 where that gives 0 to rounding.
TEST(LearningRate, EqualsHuggingFaceStepByStep) {
  const Json recorded = read_json_file(test::fixture("schedules/rates.json").string(), ErrorKind::kInput);
  std::set<std::string> names;
  for (const Json& entry : recorded["cases"]) {
    const OptimizerOptions options = options_of(entry);
    EXPECT_NO_THROW(options.validate()) << entry;
    const std::int64_t total = entry["total"];
    EXPECT_NO_THROW(check_schedule(options, total)) << entry;
    ASSERT_EQ(entry["rates"].size(), static_cast<size_t>(total));
    for (std::int64_t step = 0; step < total; ++step) {
      const auto expected = entry["rates"][static_cast<size_t>(step)].get<double>();
      EXPECT_NEAR(learning_rate(options, step, total), expected, std::max(1e-12 * expected, 1e-20))
          << entry["name"] << " " << entry["kwargs"] << " step " << step;
    }
    names.insert(entry["name"].get<std::string>());
  }
  EXPECT_EQ(names.size(), EnumNames<Schedule>::kNames.size()) << "a schedule is not compared";
}

TEST(LearningRate, OfPartsLongerThanTheRunIsRefused) {
  OptimizerOptions options;
  options.lr_scheduler_type = Schedule::kWarmupStableDecay;
  options.warmup_steps = 3;
  options.lr_scheduler_kwargs = {{"num_decay_steps", 7}};
  EXPECT_NO_THROW(check_schedule(options, 10));
  EXPECT_THAT(test::message_of(ErrorKind::kInput, [&] { check_schedule(options, 9); }),
              testing::HasSubstr("got 3 + 0 + 7, expected at most 9"));
  options.lr_scheduler_kwargs["num_stable_steps"] = 1;
  EXPECT_THAT(test::message_of(ErrorKind::kInput, [&] { check_schedule(options, 10); }),
              testing::HasSubstr("got 3 + 1 + 7, expected at most 10"));
}

TEST(WarmupSteps, RatioRoundsUp) {
  const Json recorded = read_json_file(test::fixture("schedules/rates.json").string(), ErrorKind::kInput);
  for (const Json& entry : recorded["ratios"]) {
    OptimizerOptions options;
    options.warmup_ratio = entry["ratio"];
    EXPECT_EQ(num_warmup_steps(options, entry["total"]), entry["steps"].get<std::int64_t>()) << entry;
  }
}

TEST(WarmupSteps, StepsWinOverRatioAndConstantHasNone) {
  OptimizerOptions options;
  options.warmup_ratio = 0.5;
  options.warmup_steps = 3;
  EXPECT_EQ(num_warmup_steps(options, 100), 3);
  options.lr_scheduler_type = Schedule::kConstant;
  EXPECT_EQ(num_warmup_steps(options, 100), 0);
}

}  // namespace
}  // namespace ddro::train
