// Runs that are stopped, killed or changed, and go on.
#include <gmock/gmock.h>

#include <csignal>

#include "ddro/base/hash.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

using testing::HasSubstr;

std::string final_hash(const TinyRun& run) { return hash_file(run.output_dir() / "final/model.safetensors"); }

// The undisturbed run, made once.
struct Undisturbed {
  TemporaryFolder folder;
  TinyRun run{folder.path()};
  int code = run.run();
};

const TinyRun& undisturbed() {
  static const Undisturbed instance;
  if (instance.code != 0) throw std::runtime_error("the undisturbed run failed: " + instance.run.log_text());
  return instance.run;
}

void expect_same(const TinyRun& run, const TinyRun& other) {
  EXPECT_EQ(final_hash(run), final_hash(other));
  EXPECT_EQ(lasting_metrics(run), lasting_metrics(other));
}

void expect_same_as_undisturbed(const TinyRun& run) { expect_same(run, undisturbed()); }

void stop_after_step_5(const TinyRun& run, int signal) {
  BackgroundProgram program(run.arguments(), run.log().string());
  ASSERT_TRUE(program.wait_for_output("step 5/", 60)) << program.output();
  program.send(signal);
  ASSERT_EQ(program.wait(60).code, 75) << program.output();
  EXPECT_THAT(program.output(), HasSubstr("the checkpoint is saved"));
}

// A run that is stopped after step 5, beside one with its settings that is not.
class StoppedRun {
 public:
  explicit StoppedRun(const std::vector<std::string>& settings)
      : run(folder_.path(), settings), whole(whole_folder_.path(), settings) {
    if (whole.run() != 0) throw std::runtime_error("the undisturbed run failed: " + whole.log_text());
    stop_after_step_5(run, SIGTERM);
  }
  // Another run in its folder.
  TinyRun other(const std::vector<std::string>& settings) const { return TinyRun(folder_.path(), settings); }
  void go_on() const {
    ASSERT_EQ(run.run(), 0) << run.log_text();
    EXPECT_THAT(run.log_text(), HasSubstr("resuming from"));
    expect_same(run, whole);
  }

 private:
  TemporaryFolder folder_, whole_folder_;

 public:
  const TinyRun run, whole;
};

class Signals : public testing::TestWithParam<int> {};

TEST_P(Signals, SaveAndExit75ThenGoOnWithTheSameBits) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path());
  ASSERT_NO_FATAL_FAILURE(stop_after_step_5(run, GetParam()));
  EXPECT_FALSE(std::filesystem::exists(run.output_dir() / "final"));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("resuming from"));
  expect_same_as_undisturbed(run);
}

INSTANTIATE_TEST_SUITE_P(All, Signals, testing::Values(SIGINT, SIGTERM, SIGUSR1, SIGHUP),
                         [](const testing::TestParamInfo<int>& entry) { return sigabbrev_np(entry.param); });

// The reference point of kto and the growing cap are numbers of a step that no checkpoint holds.
TEST(Resume, ComputesTheNumbersOfAStepAgain) {
  const StoppedRun stopped(
      {"objective.loss_type=[ddro, kto]", "objective.max_weight=auto", "train.num_train_epochs=2"});
  EXPECT_GT(stopped.whole.metrics("train").back()["kl"].get<double>(), 0);
  stopped.go_on();
}

// What an epoch draws of a mixture is a function of seed and epoch; with other weights the run is another.
TEST(Resume, DrawsTheSameMixture) {
  const auto mixture = [](const std::string& weight) {
    return std::vector<std::string>{"data.train_files=[{" + fixture("tiny_run/pairs_train.jsonl").string() +
                                    ": " + weight + "}, {" + fixture("tiny_run/pairs_eval.jsonl").string() +
                                    ": 2}]"};
  };
  const StoppedRun stopped(mixture("0.5"));
  const TinyRun other = stopped.other(mixture("0.75"));
  EXPECT_EQ(other.run(), 2);
  EXPECT_THAT(other.log_text(),
              HasSubstr("mixture: [0.5,2.0] -> [0.75,2.0] would change the order of samples"));
  stopped.go_on();
  EXPECT_NE(final_hash(stopped.run), final_hash(undisturbed()));
}

class ShortMoments : public testing::TestWithParam<const char*> {};

// How a moment is rounded depends on nothing that a restart changes.
TEST_P(ShortMoments, GoOnWithTheSameBitsAndLearnAsFloat32Does) {
  const StoppedRun stopped({std::string("optimizer.moment_dtype=") + GetParam()});
  stopped.go_on();
  EXPECT_NE(final_hash(stopped.run), final_hash(undisturbed()));
  const auto eval_loss = [](const TinyRun& of, bool last) {
    const std::vector<Json> lines = of.metrics("eval");
    return (last ? lines.back() : lines.front())["eval_held_out_loss"].get<double>();
  };
  const double fallen = eval_loss(undisturbed(), false) - eval_loss(undisturbed(), true);
  ASSERT_GT(fallen, 0.1);
  EXPECT_NEAR(eval_loss(stopped.run, true), eval_loss(undisturbed(), true), 0.1 * fallen);
}

INSTANTIATE_TEST_SUITE_P(Forms, ShortMoments, testing::Values("bfloat16", "float8"));

class Optimizers : public testing::TestWithParam<const char*> {};

TEST_P(Optimizers, GoOnWithTheSameBitsAndStayTheSame) {
  const StoppedRun stopped({std::string("optimizer.optim=") + GetParam(), "train.num_train_epochs=2"});
  const TinyRun other = stopped.other({"train.num_train_epochs=2"});
  EXPECT_EQ(other.run(), 2);
  EXPECT_THAT(other.log_text(), HasSubstr(std::string("optimizer.optim: ") + GetParam() + " -> adamw"));
  stopped.go_on();
  EXPECT_LT(stopped.whole.metrics("eval").back()["eval_held_out_loss"].get<double>(),
            stopped.whole.metrics("eval").front()["eval_held_out_loss"].get<double>());
}

INSTANTIATE_TEST_SUITE_P(All, Optimizers, testing::Values("sgd", "lion", "adafactor", "muon"));

TEST(Resume, ConvertsTheMomentsToAnotherForm) {
  const TemporaryFolder folder;
  ASSERT_EQ(TinyRun(folder.path(), {"train.max_steps=4"}).run(), 0);
  const TinyRun run(folder.path(), {"train.max_steps=8", "optimizer.moment_dtype=float8"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("optimizer.moment_dtype: float32 -> float8"));
  EXPECT_EQ(run.metrics("train").size(), 8u);
  const auto size = [&](const char* step) {
    return std::filesystem::file_size(run.output_dir() / "checkpoints" / step / "optimizer.safetensors");
  };
  EXPECT_LT(size("step_000008"), size("step_000004") / 2);
}

TEST(Resume, BeforeTheJobsTimeLimit) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path());
  const auto end =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
          .count() +
      60;
  const int code = run.run({}, {"SLURM_JOB_END_TIME=" + std::to_string(end)});
  EXPECT_EQ(code, 75) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("time limit"));
}

TEST(Resume, ADamagedNewestCheckpointFallsBackToTheOneBefore) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path());
  {
    BackgroundProgram program(run.arguments(), run.log().string());
    ASSERT_TRUE(program.wait_for_output("step 11/", 60));
    program.send(SIGTERM);
    ASSERT_EQ(program.wait(60).code, 75);
  }
  std::filesystem::path newest;
  for (const auto& entry : std::filesystem::directory_iterator(run.output_dir() / "checkpoints"))
    newest = std::max(newest, entry.path());
  std::filesystem::resize_file(newest / "optimizer.safetensors", 1000);
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("optimizer.safetensors"));
  expect_same_as_undisturbed(run);
}

TEST(Resume, RefusesChangesThatAlterTheRun) {
  const TemporaryFolder folder;
  ASSERT_EQ(TinyRun(folder.path(), {"train.max_steps=2"}).run(), 0);
  const std::string labels = fixture("tiny_run/labels_train.jsonl").string();
  const auto attempt = [&](const std::string& override, std::vector<std::string> more = {}) {
    return TinyRun(folder.path(), {"train.max_steps=3", override}).run(more);
  };
  EXPECT_EQ(attempt("train.seed=7"), 2);
  EXPECT_EQ(attempt("train.train_batch_size=4"), 2);
  EXPECT_EQ(attempt("data.max_length=100"), 2);
  EXPECT_EQ(attempt("objective.loss_type=rdro"), 2);
  EXPECT_EQ(attempt("data.train_files=[" + labels + "]", {"--allow-change=loss"}), 2);
  EXPECT_EQ(attempt("train.micro_batch_tokens=1000"), 0);
}

TEST(Resume, GoesBackToAnExplicitCheckpoint) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path());
  ASSERT_EQ(run.run(), 0);
  const auto checkpoints = run.output_dir() / "checkpoints";
  ASSERT_TRUE(std::filesystem::exists(checkpoints / "step_000024"));
  ASSERT_EQ(run.run({"--resume", (checkpoints / "step_000024").string()}), 0) << run.log_text();
  expect_same_as_undisturbed(run);
  EXPECT_EQ(run.run({"--resume", (folder.path() / "nowhere").string()}), 3);
}

TEST(Resume, ASecondRunInTheSameFolderIsRefused) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path());
  BackgroundProgram program(run.arguments(), run.log().string());
  ASSERT_TRUE(program.wait_for_output("step 2/", 60));
  program.send(SIGSTOP);
  BackgroundProgram twin(run.arguments(), (folder.path() / "twin.txt").string());
  EXPECT_EQ(twin.wait(60).code, 2);
  EXPECT_THAT(twin.output(), HasSubstr(".lock"));
  program.send(SIGCONT);
  EXPECT_EQ(program.wait(60).code, 0);
}

}  // namespace
}  // namespace ddro::test
