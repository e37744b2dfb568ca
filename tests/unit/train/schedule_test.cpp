#include "ddro/train/schedule.h"

#include <gmock/gmock.h>

#include "ddro/base/json.h"
#include "support/fixtures.h"

namespace ddro::train {
namespace {

Schedule schedule_of(const std::string& name) {
  for (const Schedule schedule : {Schedule::kConstant, Schedule::kConstantWithWarmup, Schedule::kLinear,
                                  Schedule::kCosine, Schedule::kCosineWithMinLr}) {
    if (name == enum_name(schedule)) return schedule;
  }
  throw std::runtime_error("no schedule " + name);
}

// Rates recorded from transformers' get_scheduler.
TEST(LearningRate, EqualsHuggingFaceStepByStep) {
  const Json recorded = read_json_file(test::fixture("schedules/rates.json").string(), ErrorKind::kInput);
  ASSERT_GE(recorded["cases"].size(), 9u);
  for (const Json& entry : recorded["cases"]) {
    OptimizerOptions options;
    options.learning_rate = 3e-5;
    options.lr_scheduler_type = schedule_of(entry["name"]);
    options.warmup_ratio = 0;
    options.warmup_steps = entry["warmup"];
    options.min_lr_ratio = entry["min_lr_ratio"];
    const std::int64_t total = entry["total"];
    for (std::int64_t step = 0; step < total; ++step) {
      EXPECT_NEAR(learning_rate(options, step, total),
                  entry["rates"][static_cast<size_t>(step)].get<double>(), 1e-18)
          << entry["name"] << " step " << step;
    }
  }
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
