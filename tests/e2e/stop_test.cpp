// Signals at the moments when a run is busy with something else than a step.
#include <gmock/gmock.h>

#include <csignal>

#include "ddro/base/hash.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

using ::testing::HasSubstr;

std::string final_hash(const TinyRun& run) { return hash_file(run.output_dir() / "final/model.safetensors"); }

// Evaluations that take seconds: the evaluation rows many times, each pair by itself.
std::vector<std::string> with_slow_evaluation(const std::filesystem::path& folder) {
  const std::string rows = read_file(fixture("tiny_run/pairs_eval.jsonl"));
  std::string many;
  for (int i = 0; i < 20; ++i) many += rows;
  write_file_atomic(folder / "many.jsonl", many);
  return {"data.eval_files={held_out: '" + (folder / "many.jsonl").string() + "'}",
          "train.micro_batch_tokens=1", "train.max_steps=4"};
}

class StartUp : public ::testing::TestWithParam<int> {};

// Before the first step there is nothing to save: the program may leave at once, and starts afresh the next
// time.
TEST_P(StartUp, IsLeftAtOnceAndBeginsAfresh) {
  const TemporaryFolder straight_folder;
  const TinyRun straight(straight_folder.path(), {"train.max_steps=4"});
  ASSERT_EQ(straight.run(), 0) << straight.log_text();
  for (const int delay_ms : {0, 50, 150, 250, 350}) {
    const TemporaryFolder folder;
    const TinyRun run(folder.path(), {"train.max_steps=4"});
    {
      BackgroundProgram program(run.arguments(), run.log().string());
      std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
      const auto sent = std::chrono::steady_clock::now();
      program.send(GetParam());
      const ExitStatus status = program.wait(60);
      EXPECT_TRUE(status.signal == GetParam() || status.code == 75) << program.output();
      EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - sent).count(), 10);
    }
    ASSERT_EQ(run.run(), 0) << run.log_text();
    EXPECT_EQ(final_hash(run), final_hash(straight));
    EXPECT_EQ(lasting_metrics(run), lasting_metrics(straight));
  }
}

// With rows and weights loaded, or with the reference done and the policy built.
TEST_P(StartUp, EndsWith75AndSaysThatNothingIsLost) {
  for (const char* place : {"train.loaded", "train.built"}) {
    const TemporaryFolder folder;
    const TinyRun run(folder.path(), {"train.max_steps=4"});
    BackgroundProgram program(run.arguments(), run.log().string(),
                              {"DDRO_FAILPOINT=" + std::string(place) + ":1:stop"});
    ASSERT_TRUE(program.wait_for_halt(60)) << program.output();
    program.send(GetParam());
    program.send(SIGCONT);
    EXPECT_EQ(program.wait(60).code, 75) << place << ": " << program.output();
    EXPECT_THAT(program.output(), HasSubstr("[train] stopped by SIG" + std::string(sigabbrev_np(GetParam())) +
                                            " before the first step; nothing is lost"));
    EXPECT_FALSE(std::filesystem::exists(run.output_dir() / "checkpoints"));
  }
}

// A set whose rows are read for much longer than the program may take to leave.
TEST_P(StartUp, IsLeftInTheMiddleOfTheRows) {
  const TemporaryFolder folder;
  const std::string rows = read_file(fixture("tiny_run/pairs_train.jsonl"));
  std::string many;
  while (many.size() < size_t{100} << 20) many += rows;
  write_file_atomic(folder / "many.jsonl", many);
  const TinyRun run(folder.path(), {"data.train_files=['" + (folder / "many.jsonl").string() + "']",
                                    "data.token_cache_dir='" + (folder / "token_cache").string() + "'"});
  for (const char* place : {"rows.block:20", "rows.block:60"}) {
    BackgroundProgram program(run.arguments(), run.log().string(),
                              {"DDRO_FAILPOINT=" + std::string(place) + ":stop"});
    ASSERT_TRUE(program.wait_for_halt(60)) << program.output();
    program.send(GetParam());
    const auto sent = std::chrono::steady_clock::now();
    program.send(SIGCONT);
    EXPECT_EQ(program.wait(60).code, 75) << program.output();
    EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - sent).count(), 5);
    EXPECT_THAT(program.output(), HasSubstr("[train] stopped by SIG" + std::string(sigabbrev_np(GetParam())) +
                                            " before the first step; nothing is lost"));
    EXPECT_FALSE(std::filesystem::exists(run.output_dir()));
    EXPECT_FALSE(std::filesystem::exists(folder / "token_cache"));
  }
}

INSTANTIATE_TEST_SUITE_P(Signals, StartUp, ::testing::Values(SIGINT, SIGTERM, SIGUSR1, SIGHUP));

TEST(StopDuringEvaluation, BeforeTheFirstStepLeavesWithoutACheckpoint) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), with_slow_evaluation(folder.path()));
  BackgroundProgram program(run.arguments(), run.log().string());
  // The file is opened when the run is ready; what follows is the evaluation.
  ASSERT_TRUE(program.wait_for_file(run.output_dir() / "metrics.jsonl", 60)) << program.output();
  program.send(SIGINT);
  EXPECT_EQ(program.wait(60).code, 75) << program.output();
  EXPECT_THAT(program.output(), HasSubstr("stopped by SIGINT before the first step"));
  EXPECT_THAT(program.output(), ::testing::Not(HasSubstr("eval held_out")));
  EXPECT_FALSE(std::filesystem::exists(run.output_dir() / "checkpoints"));
}

TEST(StopDuringEvaluation, IsMadeUpForAfterTheResume) {
  const TemporaryFolder straight_folder;
  std::vector<std::string> extra = with_slow_evaluation(straight_folder.path());
  extra.insert(extra.end(), {"eval.eval_on_start=false", "eval.eval_steps=2"});
  const TinyRun straight(straight_folder.path(), extra);
  ASSERT_EQ(straight.run(), 0) << straight.log_text();

  const TemporaryFolder folder;
  const TinyRun run(folder.path(), extra);
  {
    BackgroundProgram program(run.arguments(), run.log().string());
    ASSERT_TRUE(program.wait_for_output("step 2/4", 60)) << program.output();
    program.send(SIGTERM);
    EXPECT_EQ(program.wait(60).code, 75) << program.output();
    EXPECT_THAT(program.output(), HasSubstr("stopped by SIGTERM after step 2 of 4; the checkpoint is saved"));
    EXPECT_EQ(run.metrics("eval").size(), 0u);
  }
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_EQ(final_hash(run), final_hash(straight));
  EXPECT_EQ(lasting_metrics(run), lasting_metrics(straight));
}

// Samples that take seconds, at steps 2 and 4.
std::vector<std::string> slow_sampling() {
  std::vector<std::string> settings = sampling();
  settings.insert(settings.end(), {"eval.num_prompts=16", "eval.num_samples=8", "eval.max_new_tokens=200",
                                   "eval.eval_on_start=false", "eval.eval_steps=2", "train.max_steps=4"});
  return settings;
}

TEST(StopDuringSampling, WritesNoneAndMakesUpForThemAfterTheResume) {
  const TemporaryFolder straight_folder;
  const TinyRun straight(straight_folder.path(), slow_sampling());
  ASSERT_EQ(straight.run(), 0) << straight.log_text();

  const TemporaryFolder folder;
  const TinyRun run(folder.path(), slow_sampling());
  {
    BackgroundProgram program(run.arguments(), run.log().string());
    ASSERT_TRUE(program.wait_for_output("eval held_out at step 2", 60)) << program.output();
    program.send(SIGTERM);
    EXPECT_EQ(program.wait(60).code, 75) << program.output();
    EXPECT_THAT(program.output(), HasSubstr("stopped by SIGTERM after step 2 of 4; the checkpoint is saved"));
    EXPECT_THAT(program.output(), ::testing::Not(HasSubstr("samples at step 2")));
    EXPECT_EQ(samples_of(run).size(), 0u);
    EXPECT_EQ(run.metrics("eval").size(), 0u);
  }
  // The checkpoint is of the evaluation's own step: a kill between the samples and the evaluation's metrics
  // leaves samples that no later step tells apart.
  EXPECT_EQ(run.run({}, {"DDRO_FAILPOINT=samples.written:1"}), -SIGKILL) << run.log_text();
  EXPECT_EQ(samples_of(run).size(), 128u);
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_EQ(samples_of(run), samples_of(straight));
  EXPECT_EQ(final_hash(run), final_hash(straight));
  EXPECT_EQ(lasting_metrics(run), lasting_metrics(straight));
}

class SecondSignal : public ::testing::TestWithParam<int> {};

// The first signal makes the run save; it halts in the middle of that, and gets the second.
TEST_P(SecondSignal, DuringASaveLeavesAtOnceAndTheEarlierCheckpointHolds) {
  const TemporaryFolder folder;
  ASSERT_EQ(TinyRun(folder.path(), {"train.max_steps=3"}).run(), 0);
  const TinyRun run(folder.path(), {"train.max_steps=2000", "checkpoint.save_steps=2000"});
  const auto checkpoints = run.output_dir() / "checkpoints";
  {
    BackgroundProgram program(run.arguments(), run.log().string(),
                              {"DDRO_FAILPOINT=checkpoint.before_manifest:1:stop"});
    ASSERT_TRUE(program.wait_for_output("step 5/2000", 60)) << program.output();
    program.send(SIGTERM);
    ASSERT_TRUE(program.wait_for_halt(60)) << program.output();
    program.send(GetParam());
    program.send(SIGCONT);
    EXPECT_EQ(program.wait(10).signal, GetParam()) << program.output();
    EXPECT_THAT(program.output(), HasSubstr("stopping: SIGTERM"));
  }
  const auto inspected =
      ddro::test::ddro_train({"inspect", "checkpoint", (checkpoints / "step_000003").string()});
  EXPECT_EQ(inspected.exit_code, 0) << inspected.err;
  const TinyRun again(folder.path(), {"train.max_steps=6"});
  ASSERT_EQ(again.run(), 0) << again.log_text();
  EXPECT_THAT(again.log_text(), HasSubstr("resuming from " + (checkpoints / "step_000003").string()));
}

INSTANTIATE_TEST_SUITE_P(Signals, SecondSignal, ::testing::Values(SIGINT, SIGTERM, SIGUSR1, SIGHUP));

// One signal there is the first: the save is finished, and nothing is lost.
TEST(FirstSignal, DuringASaveFinishesIt) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"checkpoint.save_steps=3", "train.max_steps=2000"});
  BackgroundProgram program(run.arguments(), run.log().string(),
                            {"DDRO_FAILPOINT=checkpoint.before_manifest:2:stop"});
  ASSERT_TRUE(program.wait_for_halt(60)) << program.output();
  program.send(SIGTERM);
  program.send(SIGCONT);
  EXPECT_EQ(program.wait(60).code, 75) << program.output();
  EXPECT_THAT(program.output(),
              HasSubstr("saved " + (run.output_dir() / "checkpoints/step_000006").string()));
  const auto inspected = ddro::test::ddro_train(
      {"inspect", "checkpoint", (run.output_dir() / "checkpoints/step_000006").string()});
  EXPECT_EQ(inspected.exit_code, 0) << inspected.err;
}

}  // namespace
}  // namespace ddro::test
