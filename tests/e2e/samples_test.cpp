// Prompts that are sampled while a run trains.
#include <gmock/gmock.h>

#include "ddro/base/hash.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

using ddro::test::ddro_train;
using ddro::test::ProgramResult;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

std::vector<std::string> and_more(std::vector<std::string> all, const std::vector<std::string>& more) {
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

// The lines of `step`, without it, as `generate` prints them.
std::string lines_of_step(const TinyRun& run, int step) {
  std::string text;
  for (Json line : samples_of(run)) {
    if (line["step"] != step) continue;
    line.erase("step");
    text += line.dump() + "\n";
  }
  return text;
}

TEST(Samples, OfEachEvaluationAreWhatGenerateGivesForItsModel) {
  const TemporaryFolder folder;
  // Two prompts of three are sampled.
  const std::string two = R"({"prompt": "Q: Tell me about rivers.\nA:"}
{"prompt": [{"role": "user", "content": "Tell me about tea."}], "chosen": "ignored"}
)";
  write_file_atomic(folder / "two.jsonl", two);
  write_file_atomic(folder / "three.jsonl", two + "{\"prompt\": \"warm\"}\n");
  const TinyRun run(
      folder.path(),
      {"eval.prompts='" + (folder / "three.jsonl").string() + "'", "eval.num_prompts=2", "eval.num_samples=3",
       "eval.max_new_tokens=20", "eval.temperature=0.9", "eval.top_p=0.95", "eval.top_k=50", "train.seed=7"});
  ASSERT_EQ(run.run(), 0) << run.log_text();

  std::vector<int> steps;
  for (const Json& line : samples_of(run)) steps.push_back(line["step"]);
  std::vector<int> expected;
  for (const int step : {0, 7, 14, 21, 28}) expected.insert(expected.end(), 6, step);
  EXPECT_EQ(steps, expected);
  EXPECT_THAT(run.log_text(), ContainsRegex("samples at step 28  6 completions, [0-6] not finished, [0-9]+ "
                                            "tokens in [0-9.]+ s, in .*/run/samples.jsonl"));

  const auto generated = [&](const std::string& model) {
    const ProgramResult result =
        ddro_train({"generate", "--model", model, "--prompts", (folder / "two.jsonl").string(),
                    "--num-samples", "3", "--max-new-tokens", "20", "--temperature", "0.9", "--top-p", "0.95",
                    "--top-k", "50", "--seed", "7"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  };
  EXPECT_EQ(lines_of_step(run, 0), generated(fixture("tiny_run/model").string()));
  EXPECT_EQ(lines_of_step(run, kTinySteps), generated((run.output_dir() / "final").string()));
  EXPECT_NE(lines_of_step(run, 0), lines_of_step(run, kTinySteps));
}

TEST(Samples, ChangeNothingOfTheTraining) {
  for (const std::vector<std::string>& settings : {std::vector<std::string>{},
                                                   {"model.dtype=bfloat16"},
                                                   {"model.gradient_checkpointing=true"},
                                                   {"objective.loss_type=kto"}}) {
    const TemporaryFolder with_folder;
    const TemporaryFolder without_folder;
    const TinyRun with(with_folder.path(), and_more(settings, sampling()));
    const TinyRun without(without_folder.path(), settings);
    ASSERT_EQ(with.run(), 0) << with.log_text();
    ASSERT_EQ(without.run(), 0) << without.log_text();
    EXPECT_EQ(samples_of(with).size(), 20u);  // 5 evaluations, 2 prompts, 2 of each
    EXPECT_FALSE(std::filesystem::exists(without.output_dir() / "samples.jsonl"));
    EXPECT_EQ(hash_file(with.output_dir() / "final/model.safetensors"),
              hash_file(without.output_dir() / "final/model.safetensors"));
    EXPECT_EQ(lasting_metrics(with), lasting_metrics(without));
    for (const Json& line : with.metrics("eval")) EXPECT_GT(line["eval_sampling_time_s"].get<double>(), 0);
    for (const Json& line : without.metrics("eval")) EXPECT_FALSE(line.contains("eval_sampling_time_s"));
  }
}

TEST(Samples, NeedNoEvaluationSet) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), and_more(sampling(), {"data.eval_files={}", "eval.eval_on_start=false",
                                                         "eval.eval_strategy=epoch"}));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  std::vector<int> steps;
  for (const Json& line : run.metrics("eval")) {
    EXPECT_EQ(line.size(), 4u) << line;  // kind, step and two times
    steps.push_back(line["step"]);
  }
  EXPECT_THAT(steps, ::testing::ElementsAre(7, 14, 21, 28));
  EXPECT_EQ(samples_of(run).size(), 16u);
}

TEST(Samples, AreShownByTheReport) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), sampling());
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const std::string page = (folder / "page.html").string();
  const ProgramResult result = ddro_train({"report", run.output_dir().string(), "--out", page});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::string prompt = samples_of(run).front()["prompt"][0]["content"];
  EXPECT_THAT(read_file(page), HasSubstr("user: " + prompt));
}

TEST(Samples, OfAnAbandonedRunAreNotKept) {
  const TemporaryFolder folder;
  ASSERT_EQ(TinyRun(folder.path(), and_more(sampling(), {"train.max_steps=8"})).run(), 0);
  // From step 6 on another run, which samples nothing: of the first one's samples those of steps 7 and 8 go.
  const TinyRun run(folder.path(), {"train.max_steps=9"});
  ASSERT_EQ(run.run({"--resume", (run.output_dir() / "checkpoints/step_000006").string()}), 0)
      << run.log_text();
  std::set<int> steps;
  for (const Json& line : samples_of(run)) steps.insert(line["step"].get<int>());
  EXPECT_EQ(steps, std::set<int>{0});
}

TEST(Samples, AreAnnouncedByADryRun) {
  const TemporaryFolder folder;
  const auto plan = [&](const std::vector<std::string>& settings) {
    const ProgramResult result =
        ddro::test::run_program(TinyRun(folder.path(), settings).arguments({"--dry-run"}));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  };
  EXPECT_THAT(plan(sampling()),
              ContainsRegex("samples: 2 prompts of .*/pairs_eval.jsonl, 2 of each, at most 8 tokens; at the "
                            "start, every 7 steps and at the end\n"));
  EXPECT_THAT(plan(and_more(sampling(), {"eval.eval_on_start=false", "eval.eval_strategy=epoch",
                                         "eval.num_prompts=1000"})),
              ContainsRegex("samples: 16 prompts of .*; after every epoch and at the end\n"));
  EXPECT_THAT(plan({}), ::testing::Not(HasSubstr("samples: ")));
}

// As at an evaluation: the metrics are null, and the training decides what becomes of it.
TEST(Samples, OfAPolicyThatOverflowedAreLeftOut) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(),
                    and_more(sampling(), {"optimizer.lr_scheduler_type=constant_with_warmup",
                                          "optimizer.warmup_steps=1", "optimizer.learning_rate=1.0e39",
                                          "eval.eval_steps=1", "checkpoint.save_steps=100"}));
  EXPECT_EQ(run.run(), 77) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("samples at step 2 are left out: [generate] the model's "
                                        "log-probabilities for prompt 1 are not finite"));
  std::set<int> steps;
  for (const Json& line : samples_of(run)) steps.insert(line["step"].get<int>());
  EXPECT_EQ(steps, (std::set<int>{0, 1}));
}

}  // namespace
}  // namespace ddro::test
