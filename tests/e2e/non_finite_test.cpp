// Runs whose numbers overflow: what is skipped, told, kept and given up.
#include <gmock/gmock.h>

#include <csignal>
#include <fstream>
#include <limits>

#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> checkpoint_names(const TinyRun& run) {
  std::vector<std::string> names;
  const auto folder = run.output_dir() / "checkpoints";
  if (!std::filesystem::exists(folder)) return names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

// The first step learns at rate 0, the second makes weights of about `rate`.
std::vector<std::string> overflowing(const std::string& rate) {
  return {"optimizer.lr_scheduler_type=constant_with_warmup", "optimizer.warmup_steps=1",
          "optimizer.learning_rate=" + rate, "eval.eval_strategy=no"};
}

TEST(NonFinite, FiveSkippedStepsInARowGiveUpAndKeepTheLastCheckpoint) {
  const TemporaryFolder folder;
  std::vector<std::string> extra = overflowing("1.0e30");
  extra.emplace_back("checkpoint.save_steps=1");
  // The checkpoint before the rate is too high.
  {
    std::vector<std::string> first = extra;
    first.emplace_back("train.max_steps=1");
    ASSERT_EQ(TinyRun(folder.path(), first).run(), 0);
  }
  extra.back() = "checkpoint.save_steps=100";
  const TinyRun run(folder.path(), extra);
  ASSERT_EQ(run.run(), 77) << run.log_text();

  const std::string log = run.log_text();
  for (const int step : {3, 4, 5, 6, 7}) {
    EXPECT_THAT(log, ContainsRegex("step " + std::to_string(step) +
                                   " is skipped: loss .*, gradient norm nan; rows "));
  }
  EXPECT_THAT(log, HasSubstr("; rows " + fixture("tiny_run/pairs_train.jsonl").string() + ":"));
  EXPECT_THAT(log,
              ContainsRegex("step 3 is skipped: .*; not finite first: the gradient of model\\..*weight"));
  EXPECT_THAT(log, HasSubstr("ddro-train: error: [train] step 7: too many steps with a loss or gradient that "
                             "is not finite (5 in all)"));

  const std::vector<Json> steps = run.metrics("train");
  ASSERT_EQ(steps.size(), 6u);  // the step that gives up has no line
  EXPECT_EQ(steps[1]["skipped_steps"], 0);
  EXPECT_EQ(steps[2]["skipped_steps"], 1);
  EXPECT_EQ(steps[5]["skipped_steps"], 4);
  EXPECT_TRUE(steps[2]["grad_norm"].is_null());

  // Of the second skipped step alone.
  const Json batch = Json::parse(read_file(run.output_dir() / "non_finite_step_4.json"));
  EXPECT_EQ(batch.size(), 8u);
  EXPECT_THAT(batch[0]["where"].get<std::string>(), HasSubstr("pairs_train.jsonl:"));
  EXPECT_EQ(batch[0]["sequences"].size(), 2u);
  for (const int step : {3, 5, 6, 7}) {
    EXPECT_FALSE(
        std::filesystem::exists(run.output_dir() / ("non_finite_step_" + std::to_string(step) + ".json")));
  }

  EXPECT_EQ(checkpoint_names(run), std::vector<std::string>{"step_000001"});
  const auto kept = ddro::test::ddro_train(
      {"inspect", "checkpoint", (run.output_dir() / "checkpoints/step_000001").string()});
  EXPECT_EQ(kept.exit_code, 0) << kept.err;
}

// A model that is broken from the start: nothing is ever saved of it.
TEST(NonFinite, AnInfiniteWeightInTheModelFolderSkipsFromTheFirstStep) {
  const TemporaryFolder folder;
  std::filesystem::copy(fixture("tiny_run/model"), folder / "model");
  {
    const float infinity = std::numeric_limits<float>::infinity();
    std::fstream file(folder / "model/model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-static_cast<std::streamoff>(sizeof infinity), std::ios::end);
    file.write(reinterpret_cast<const char*>(&infinity), sizeof infinity);
  }
  const std::string model = "model.model_name_or_path=" + (folder / "model").string();
  const TinyRun cached(folder.path(), {model});
  EXPECT_EQ(cached.run(), 3) << cached.log_text();
  EXPECT_THAT(cached.log_text(),
              ContainsRegex("error: .reference. the log-probability of .*pairs_train.jsonl:[0-9]+ "
                            ".* is not finite; got -?nan"));

  const TinyRun run(folder.path(), {model, "reference.precompute_ref_log_probs=false"});
  EXPECT_EQ(run.run(), 77) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("step 1 is skipped: loss nan, gradient norm nan; rows "));
  EXPECT_THAT(run.log_text(), HasSubstr("; not finite first: the weights model."));
  EXPECT_EQ(checkpoint_names(run), std::vector<std::string>{});
  EXPECT_FALSE(std::filesystem::exists(run.output_dir() / "final"));
  EXPECT_TRUE(run.metrics("train").at(0)["loss"].is_null());
}

TEST(NonFinite, OverflowedWeightsAreNeverSaved) {
  const TemporaryFolder folder;
  std::vector<std::string> extra = overflowing("1.0e39");
  extra.emplace_back("checkpoint.save_steps=1");
  const TinyRun run(folder.path(), extra);
  EXPECT_EQ(run.run(), 77) << run.log_text();
  EXPECT_THAT(run.log_text(),
              HasSubstr("ddro-train: error: [train] step 2: tensor \"model.embed_tokens.weight\" holds "
                        "values that are not finite; not saved"));
  EXPECT_EQ(checkpoint_names(run), std::vector<std::string>{"step_000001"});
  EXPECT_FALSE(std::filesystem::exists(run.output_dir() / "final"));
}

// The guard's count is part of the checkpoint: stopping in between does not start it again.
TEST(NonFinite, TheCountOutlivesARestart) {
  const TemporaryFolder folder;
  const std::vector<std::string> extra = overflowing("1.0e30");
  {
    const TinyRun run(folder.path(), extra);  // killed after step 6, of which four are skipped
    ASSERT_EQ(run.run({}, {"DDRO_FAILPOINT=checkpoint.after_rename:2"}), -SIGKILL) << run.log_text();
    EXPECT_THAT(run.log_text(), HasSubstr("step 6 is skipped"));
  }
  const TinyRun run(folder.path(), extra);
  EXPECT_EQ(run.run(), 77) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("step 7: too many steps"));
  EXPECT_THAT(run.log_text(), Not(HasSubstr("step 8")));
}

}  // namespace
}  // namespace ddro::test
