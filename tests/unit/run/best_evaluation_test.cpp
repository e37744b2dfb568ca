#include "run/best_evaluation.h"

#include <gmock/gmock.h>

#include <fstream>
#include <limits>

#include "support/fixtures.h"
#include "support/temporary_folder.h"

namespace ddro::run {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double number(const Json& value) { return value.is_null() ? kNan : value.get<double>(); }

// Recorded from transformers' Trainer and EarlyStoppingCallback; an evaluation every 10 steps.
TEST(BestEvaluation, IsHuggingFacesAndEndsTheRunWhereItsCallbackDoes) {
  const Json recorded =
      read_json_file(test::fixture("early_stopping/cases.json").string(), ErrorKind::kInput);
  ASSERT_EQ(recorded["cases"].size(), 48u);
  for (const Json& entry : recorded["cases"]) {
    BestEvaluation best({"eval_loss", entry["greater_is_better"], entry["patience"]});
    Json ends_at;
    for (size_t i = 0; i < entry["values"].size() && ends_at.is_null(); ++i) {
      best.add(10 * static_cast<std::int64_t>(i + 1), number(entry["values"][i]));
      if (best.ends_run()) ends_at = 10 * (i + 1);
    }
    EXPECT_EQ(ends_at, entry["ends_at"]) << entry;
    EXPECT_EQ(best.exists() ? Json(best.step()) : Json(), entry["best_step"]) << entry;
    if (best.exists()) {
      EXPECT_EQ(best.value(), entry["best"].get<double>()) << entry;
    }
  }
}

TEST(BestEvaluation, PassesOverTheModelThatWasNotTrained) {
  BestEvaluation best({"eval_loss", false, 1});
  EXPECT_FALSE(best.add(0, 0.1));
  EXPECT_FALSE(best.exists());
  EXPECT_TRUE(best.add(10, 0.5));
  EXPECT_FALSE(best.ends_run());
}

TEST(BestEvaluation, SaysThatNoneGaveANumber) {
  BestEvaluation best({"eval_loss", false, 2});
  for (int i = 1; i <= 3; ++i) best.add(i, kNan);
  EXPECT_TRUE(best.ends_run());
  EXPECT_EQ(best.why_it_ends(), "the last 2 evaluations gave no number for eval_loss");
}

TEST(BestEvaluation, NeverStopsWithoutPatience) {
  BestEvaluation best({"eval_loss", false, 0});
  for (int i = 1; i < 50; ++i) best.add(i, i);
  EXPECT_EQ(best.step(), 1);
  EXPECT_FALSE(best.ends_run());
}

// A line behind the last step is of a future that the run has yet to come to.
TEST(BestEvaluation, IsReadFromTheLinesThatCount) {
  const test::TemporaryFolder folder;
  LoadedRun run;
  run.config.train.output_dir = folder.path().string();
  run.best_metric = BestMetric{"eval_a_loss", false, 2};
  std::ofstream(folder / "metrics.jsonl") << R"({"kind":"eval","step":0,"eval_a_loss":0.1}
{"kind":"train","step":1,"eval_a_loss":0.2}
{"kind":"eval","step":2,"eval_a_loss":0.5}
{"kind":"eval","step":4,"eval_a_loss":null}
{"kind":"eval","step":5,"eval_b_loss":0.3}
{"kind":"eval","step":6,"eval_a_loss":0.6}
{"kind":"eval","step":8,"eval_a_loss":0.4}
)";
  const auto read = [&](std::int64_t last_step) {
    return read_best_evaluation(run, last_step, dist::alone());
  };
  EXPECT_FALSE(read(-1).exists());
  EXPECT_FALSE(read(1).exists());
  EXPECT_EQ(read(4).evaluations_since(), 1);
  EXPECT_EQ(read(6).step(), 2);
  EXPECT_EQ(read(6).value(), 0.5);
  EXPECT_TRUE(read(6).ends_run());
  EXPECT_EQ(read(6).why_it_ends(), "the last 2 evaluations were no better than eval_a_loss 0.5 at step 2");
  EXPECT_EQ(read(8).step(), 8);
}

}  // namespace
}  // namespace ddro::run
