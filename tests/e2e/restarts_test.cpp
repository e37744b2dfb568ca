// What a run does of its own where Slurm starts its job again and again; jobs of a real Slurm: tests/slurm.
#include <gmock/gmock.h>

#include <csignal>

#include "rank_runs.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

using ::testing::HasSubstr;

// The job's environment at its start after so many restarts; `failpoint`: where it is killed, if at all.
std::vector<std::string> start_after(int restarts, const std::string& failpoint = "none") {
  std::vector<std::string> environment = {"SLURM_JOB_ID=7", "DDRO_FAILPOINT=" + failpoint};
  if (restarts > 0) environment.push_back("SLURM_RESTART_COUNT=" + std::to_string(restarts));
  return environment;
}

TEST(Restarts, ThatSaveNothingEndTheJob) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=4"});
  // The first start is not in vain: it computes the reference's log-probabilities.
  for (int restarts = 0; restarts <= 4; ++restarts)
    ASSERT_EQ(run.run({}, start_after(restarts, "train.built")), -SIGKILL) << run.log_text();
  ASSERT_EQ(run.run({}, start_after(5)), 78);
  EXPECT_THAT(run.log_text(), HasSubstr("checkpoints] 3 restarts of the job in a row have saved nothing; "));
  EXPECT_EQ(run.run({}, start_after(6)), 78) << "it stays so";
  EXPECT_EQ(run.run({}, start_after(0)), 0) << "submitted again: " << run.log_text();
}

TEST(Restarts, ThatWereStoppedBeforeTheFirstStepCount) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=4"});
  const auto stopped = [&](int restarts) {
    std::vector<std::string> environment = start_after(restarts);
    environment.emplace_back("SLURM_JOB_END_TIME=1000");
    return run.run({}, environment);
  };
  for (int restarts = 0; restarts <= 3; ++restarts) ASSERT_EQ(stopped(restarts), 75) << run.log_text();
  EXPECT_EQ(stopped(4), 78) << run.log_text();
  EXPECT_EQ(stopped(0), 75) << "submitted again: " << run.log_text();
  EXPECT_EQ(stopped(1), 75) << run.log_text();
}

// One that comes to look at what there is counts those that did not.
TEST(Restarts, ThatWereKilledWhileTheyLoadedCount) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=4"});
  // The second is not in vain: it finds the reference's log-probabilities that the first has computed.
  for (int restarts = 0; restarts <= 1; ++restarts)
    ASSERT_EQ(run.run({}, start_after(restarts, "train.built")), -SIGKILL) << run.log_text();
  for (int restarts = 2; restarts <= 3; ++restarts)
    ASSERT_EQ(run.run({}, start_after(restarts, "train.loaded")), -SIGKILL) << run.log_text();
  ASSERT_EQ(run.run({}, start_after(4, "train.built")), -SIGKILL) << run.log_text();
  EXPECT_EQ(run.run({}, start_after(5)), 78) << run.log_text();
}

// The first rank of two, the other of which does not reach it.
TEST(Restarts, WhoseRanksDoNotMeetEndTheJob) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kSoon);
  const auto start = [&](int restarts, const std::string& failpoint = "none") {
    std::vector<std::string> environment = start_after(restarts, failpoint);
    for (const std::string& variable : started(0, free_port())) environment.push_back(variable);
    return run.run({}, environment);
  };
  ASSERT_EQ(start(0), 76) << run.log_text();
  EXPECT_FALSE(std::filesystem::exists(run.output_dir()));
  for (int restarts = 1; restarts <= 2; ++restarts)
    ASSERT_EQ(start(restarts, "train.loaded"), -SIGKILL) << run.log_text();
  ASSERT_EQ(start(3), 76) << run.log_text();
  ASSERT_EQ(start(4), 78) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("3 restarts of the job in a row have saved nothing; what ended them "
                                        "is in its log (ranks may not reach each other, "));
}

// All of them end with the reason, which one says.
TEST(Restarts, OfRanksThatSaveNothingEndThemAll) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kSoon);
  for (int restarts = 0; restarts <= 3; ++restarts)
    ASSERT_EQ(run.run(ranks(2), start_after(restarts, "train.loaded")), 76) << run.log_text();
  ASSERT_EQ(run.run(ranks(2), start_after(4)), 78);
  EXPECT_THAT(run.log_text(), testing::MatchesRegex("ddro-train: error: [^\n]*3 restarts [^\n]*\n"));
}

TEST(Restarts, ThatSaveACheckpointGoOn) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=16", "checkpoint.save_steps=1"});
  for (int restarts = 0; restarts < 6; ++restarts)
    ASSERT_EQ(run.run({}, start_after(restarts, "checkpoint.after_rename:2")), -SIGKILL) << run.log_text();
  EXPECT_EQ(run.run({}, start_after(6)), 0) << run.log_text();
}

TEST(Restarts, ThatComputeMoreOfTheReferenceGoOn) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=4"});
  for (int restarts = 0; restarts < 6; ++restarts)
    ASSERT_EQ(run.run({}, start_after(restarts, "reference_cache.append:2")), -SIGKILL) << run.log_text();
  EXPECT_EQ(run.run({}, start_after(6)), 0) << run.log_text();
}

// The start before may go on, on a node that Slurm does not reach.
TEST(Restarts, WhileTheFolderIsInUseAreTriedAgainLater) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=4"});
  BackgroundProgram first(run.arguments(), run.log().string(), start_after(0, "train.built:1:stop"));
  ASSERT_TRUE(first.wait_for_halt(60)) << first.output();
  BackgroundProgram twin(run.arguments(), (folder / "twin.txt").string(), start_after(1));
  EXPECT_EQ(twin.wait(60).code, 75) << twin.output();
  EXPECT_THAT(twin.output(), HasSubstr(".lock] the folder is in use by process "));
}

}  // namespace
}  // namespace ddro::test
