// Checkpoints that are written while the steps go on.
#include <gmock/gmock.h>

#include <csignal>
#include <map>

#include "ddro/base/hash.h"
#include "e2e/tiny_run.h"
#include "fault/faulty_disk.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::vector<std::string> kTwelveSteps = {"train.max_steps=12"};  // saves after 3, 6, 9 and 12

// The undisturbed run, made once.
const TinyRun& undisturbed() {
  static const TemporaryFolder folder;
  static const TinyRun run(folder.path(), kTwelveSteps);
  static const int code = run.run();
  if (code != 0) throw std::runtime_error("the undisturbed run failed: " + run.log_text());
  return run;
}

void expect_same_as_undisturbed(const TinyRun& run) {
  EXPECT_EQ(hash_file(run.output_dir() / "final/model.safetensors"),
            hash_file(undisturbed().output_dir() / "final/model.safetensors"));
  EXPECT_EQ(lasting_metrics(run), lasting_metrics(undisturbed()));
}

std::string saved_line(const TinyRun& run, const std::string& step) {
  return "saved " + (run.output_dir() / "checkpoints/step_").string() + step;
}

void expect_saved_before(const TinyRun& run, const std::map<std::string, std::string>& later_lines) {
  const std::string log = run.log_text();
  for (const auto& [step, later] : later_lines) {
    ASSERT_NE(log.find(later), std::string::npos) << log;
    EXPECT_LT(log.find(saved_line(run, step)), log.find(later)) << log;
  }
}

// A run whose checkpoints reach the disk when release() is called, not before.
class HeldRun {
 public:
  explicit HeldRun(const std::vector<std::string>& settings = kTwelveSteps)
      : run(folder_.path(), settings),
        program(run.arguments(), run.log().string(),
                faulty_disk(run.output_dir() / "checkpoints",
                            {"DDRO_DISK_HOLD=" + folder_.write("hold", "").string()})) {}
  void release() { std::filesystem::remove(folder_ / "hold"); }

 private:
  TemporaryFolder folder_;

 public:
  TinyRun run;
  BackgroundProgram program;
};

TEST(AsyncSave, StepsGoOnAndTheNextSaveWaits) {
  HeldRun held;
  ASSERT_TRUE(held.program.wait_for_output("step 5/12", 60)) << held.program.output();
  EXPECT_THAT(held.program.output(), Not(HasSubstr("saved ")));
  held.release();
  ASSERT_EQ(held.program.wait(60).code, 0) << held.program.output();
  expect_saved_before(
      held.run,
      {{"000003", "step 7/12"}, {"000006", "step 10/12"}, {"000009", "exported"}, {"000012", "exported"}});
  expect_same_as_undisturbed(held.run);
}

TEST(AsyncSave, TurnedOffTheStepsWait) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {kTwelveSteps[0], "checkpoint.async_save=false"});
  ASSERT_EQ(run.run({}, faulty_disk(run.output_dir() / "checkpoints", {"DDRO_DISK_DELAY_MS=2"})), 0);
  expect_saved_before(run, {{"000003", "step 4/12"}, {"000006", "step 7/12"}, {"000009", "step 10/12"}});
  expect_same_as_undisturbed(run);
}

// A machine that says that little is left.
TEST(AsyncSaveMounted, WithoutRoomForACopyTheStepsWait) {
  const TemporaryFolder folder;
  const auto meminfo = folder.write("meminfo", "MemTotal: 1000 kB\nMemAvailable: 20 kB\n");
  const std::string mount = "mount --bind '" + meminfo.string() + "' /proc/meminfo";
  if (run_program({"unshare", "-m", "bash", "-c", mount}).exit_code != 0)
    GTEST_SKIP() << "mounting is not allowed here";
  const TinyRun run(folder.path(), kTwelveSteps);
  std::vector<std::string> command = {"unshare", "-m", "bash", "-c", mount + " && exec \"$@\"", "bash"};
  for (const std::string& argument : run.arguments()) command.push_back(argument);
  const ProgramResult result = run_program(command);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("[checkpoint.async_save] a copy of "));
  EXPECT_LT(result.err.find(saved_line(run, "000003")), result.err.find("step 4/12")) << result.err;
  expect_same_as_undisturbed(run);
}

class Stopped : public ::testing::TestWithParam<int> {};

TEST_P(Stopped, WaitsForWhatIsBeingWrittenAndSaves) {
  HeldRun held;
  ASSERT_TRUE(held.program.wait_for_output("step 4/12", 60)) << held.program.output();
  held.program.send(GetParam());
  // Where it has come to the next save before the signal, it waits there.
  held.program.wait_for_output("stopping: ", 0.5);
  held.release();
  EXPECT_EQ(held.program.wait(60).code, 75) << held.program.output();
  EXPECT_THAT(held.program.output(), HasSubstr(saved_line(held.run, "000003")));
  EXPECT_THAT(held.program.output(), HasSubstr("the checkpoint is saved"));
  ASSERT_EQ(held.run.run(), 0) << held.run.log_text();
  expect_same_as_undisturbed(held.run);
}

// The first signal waits for the disk.
TEST_P(Stopped, ByASecondSignalMeanwhileLeavesAtOnce) {
  HeldRun held({"train.max_steps=12", "checkpoint.save_steps=5"});
  ASSERT_TRUE(held.program.wait_for_output("step 6/12", 60)) << held.program.output();
  held.program.send(SIGTERM);
  ASSERT_TRUE(held.program.wait_until_unhandled(GetParam(), 60));
  held.program.send(GetParam());
  EXPECT_EQ(held.program.wait(60).signal, GetParam()) << held.program.output();
  held.release();
  EXPECT_THAT(held.program.output(), Not(HasSubstr("saved ")));
  ASSERT_EQ(held.run.run(), 0) << held.run.log_text();
  EXPECT_THAT(held.run.log_text(), Not(HasSubstr("resuming from")));
  expect_same_as_undisturbed(held.run);
}

INSTANTIATE_TEST_SUITE_P(Signals, Stopped, ::testing::Values(SIGTERM, SIGHUP),
                         [](const auto& entry) { return sigabbrev_np(entry.param); });

struct DiskError {
  const char* name;
  const char* reason;
  const char* async_save;
};

class FailingDisk : public ::testing::TestWithParam<DiskError> {};

// From the run's second checkpoint on nothing can be written.
TEST_P(FailingDisk, EndsTheRunAtTheThirdFailureAndKeepsWhatIsThere) {
  const DiskError& error = GetParam();
  const TemporaryFolder folder;
  const std::string constant = "optimizer.lr_scheduler_type=constant";
  const std::string mode = std::string("checkpoint.async_save=") + error.async_save;
  ASSERT_EQ(TinyRun(folder.path(), {constant, mode, "train.max_steps=3"}).run(), 0);
  const TinyRun run(folder.path(), {constant, mode, "train.max_steps=20"});
  const auto checkpoints = run.output_dir() / "checkpoints";
  const std::string rule = "DDRO_DISK_FAIL=write:1-1000000:" + std::string(error.name);
  EXPECT_EQ(run.run({}, faulty_disk(checkpoints, {rule})), 78);
  const std::string log = run.log_text();
  EXPECT_THAT(log, HasSubstr("a checkpoint could not be saved, the next is tried after the next interval: [" +
                             (checkpoints / "step_000009.tmp/model.safetensors").string() + "]"));
  EXPECT_THAT(
      log, HasSubstr("ddro-train: error: [" + (checkpoints / "step_000012.tmp/model.safetensors").string() +
                     "] cannot be written: " + error.reason + "; "));
  EXPECT_THAT(log, Not(HasSubstr("step 16/20")));
  EXPECT_THAT(log, Not(HasSubstr("saved ")));
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(checkpoints))
    left.push_back(entry.path().filename().string());
  EXPECT_THAT(left, ::testing::ElementsAre("step_000003"));
}

INSTANTIATE_TEST_SUITE_P(Errors, FailingDisk,
                         ::testing::Values(DiskError{"ENOSPC", "No space left on device", "true"},
                                           DiskError{"ENOSPC", "No space left on device", "false"},
                                           DiskError{"EDQUOT", "Disk quota exceeded", "true"},
                                           DiskError{"EROFS", "Read-only file system", "true"},
                                           DiskError{"EIO", "Input/output error", "true"}),
                         [](const auto& entry) {
                           return std::string(entry.param.name) + "_" + entry.param.async_save;
                         });

}  // namespace
}  // namespace ddro::test
