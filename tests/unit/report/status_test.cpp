#include "ddro/report/status.h"

#include <gmock/gmock.h>

#include <unistd.h>

#include <chrono>

#include "ddro/base/file_lock.h"
#include "ddro/report/run_history.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace ddro::report {
namespace {

using ddro::test::message_of;
using ddro::test::TemporaryFolder;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kRecord = R"({"starts": 2, "run": {"total_steps": 10}, "finished_step": null})";

std::string train_line(int step, double seconds) {
  return Json{{"kind", "train"},
              {"step", step},
              {"loss", 1},
              {"step_time_s", seconds},
              {"tokens_per_second", 100}}
             .dump() +
         "\n";
}

class Status : public testing::Test {
 protected:
  void SetUp() override {
    folder_.write("run.json", kRecord);
    folder_.write("metrics.jsonl", R"({"kind":"eval","step":0,"eval_held_out_loss":1.25})"
                                   "\n" +
                                       train_line(1, 3) + train_line(2, 2) + train_line(3, 4));
  }
  RunStatus read() const { return read_status(folder_.path()); }
  const TemporaryFolder folder_;
};

TEST_F(Status, SaysHowFarAStoppedRunIs) {
  folder_.write("checkpoints/step_000002/manifest.json", "{}");
  folder_.write("checkpoints/step_000010.tmp/manifest.json", "{}");
  folder_.write("checkpoints/step_000009/weights", "half");
  const RunStatus status = read();
  EXPECT_EQ(status.state, RunState::kStopped);
  EXPECT_EQ(status.step, 3);
  EXPECT_EQ(status.total_steps, 10);
  EXPECT_EQ(status.starts, 2);
  EXPECT_EQ(status.step_seconds, 3);
  EXPECT_EQ(status.seconds_left, 21);
  EXPECT_EQ(status.newest_checkpoint, 2);
  EXPECT_GT(status.folder_bytes, 200u);
  EXPECT_LT(status.folder_bytes, 2000u);
  EXPECT_GT(status.free_bytes, 0u);
  ASSERT_EQ(status.evaluated.size(), 1u);
  EXPECT_EQ(status.evaluated[0].loss, 1.25);
  const std::string text = status.describe();
  EXPECT_THAT(text,
              HasSubstr(": stopped\n  step 3 of 10, 3 s a step, 100 tokens/s, 0:21 left for the steps\n"));
  EXPECT_THAT(text,
              HasSubstr("held_out at step 0: loss 1.2500\n  newest checkpoint: step 2, folder 0.00 GB"));
  EXPECT_THAT(text, HasSubstr("started 2 times"));
}

TEST_F(Status, ARunThatHoldsItsFolderIsRunning) {
  FileLock lock(folder_ / ".lock");
  EXPECT_EQ(read().state, RunState::kStopped);
  ASSERT_TRUE(lock.try_lock());
  const RunStatus status = read();
  EXPECT_EQ(status.state, RunState::kRunning);
  EXPECT_THAT(status.holder, HasSubstr("process " + std::to_string(getpid()) + " on "));
  EXPECT_THAT(status.remarks, Not(Contains(HasSubstr("nothing logged"))));
}

TEST_F(Status, OnlyALongSilenceOfARunningOneIsSaid) {
  namespace fs = std::filesystem;
  const auto now = fs::file_time_type::clock::now();
  fs::last_write_time(folder_ / "metrics.jsonl", now - std::chrono::minutes(5));
  EXPECT_THAT(read().remarks, Not(Contains(HasSubstr("nothing logged"))));
  FileLock lock(folder_ / ".lock");
  ASSERT_TRUE(lock.try_lock());
  EXPECT_THAT(read().remarks,
              Contains("nothing logged for 5:00, and a step takes 3 s: it evaluates, saves, exports, or "
                       "hangs"));
  fs::last_write_time(folder_ / "metrics.jsonl", now - std::chrono::seconds(50));
  EXPECT_THAT(read().remarks, Not(Contains(HasSubstr("nothing logged"))));
}

std::string beat(const std::string& host, double age) {
  const Json json = {{"process", 17},
                     {"host", host},
                     {"phase", "evaluation"},
                     {"step", 5},
                     {"time", seconds_since_1970() - age}};
  return json.dump() + "\n";
}

TEST_F(Status, AHeartbeatSaysWhatARunningOneIsAt) {
  folder_.write("heartbeat.json", beat(host_name(), 4));
  EXPECT_EQ(read().state, RunState::kDead);
  EXPECT_EQ(read().step, 3) << "a resume does not begin with what was not saved";
  FileLock lock(folder_ / ".lock");
  ASSERT_TRUE(lock.try_lock());
  std::filesystem::last_write_time(folder_ / "metrics.jsonl",
                                   std::filesystem::file_time_type::clock::now() - std::chrono::minutes(5));
  const RunStatus status = read();
  EXPECT_EQ(status.state, RunState::kRunning);
  EXPECT_EQ(status.step, 5);
  EXPECT_THAT(status.describe(), HasSubstr("\n  heartbeat of process 17 on " + host_name() +
                                           " 0:04 ago, at step 5: evaluation\n"));
  EXPECT_THAT(status.remarks, Contains(HasSubstr("it is at: evaluation")));
  EXPECT_EQ(status.to_json()["heartbeat"]["phase"], "evaluation");
  EXPECT_NEAR(status.to_json()["heartbeat"]["seconds_ago"].get<double>(), 4, 2);
}

TEST_F(Status, ARunOnAnotherHostIsJudgedByItsHeartbeat) {
  folder_.write("heartbeat.json", beat("elsewhere", 4));
  EXPECT_EQ(read().state, RunState::kRunning);
  folder_.write("heartbeat.json", beat("elsewhere", 200));
  EXPECT_EQ(read().state, RunState::kUnknown);
  folder_.write("heartbeat.json", beat("elsewhere", -200));
  EXPECT_EQ(read().state, RunState::kUnknown);
  EXPECT_THAT(read().describe(), HasSubstr(": unknown\n  step 3 of 10"));
  EXPECT_THAT(read().describe(), HasSubstr("on elsewhere 3:20 ahead of this clock"));
  folder_.write("heartbeat.json", beat("elsewhere", 4000));
  EXPECT_EQ(read().state, RunState::kDead);
  folder_.write("heartbeat.json", "{");
  EXPECT_EQ(read().state, RunState::kStopped);
  EXPECT_EQ(read().to_json()["heartbeat"], nullptr);
}

TEST_F(Status, AFinishedRunHasNoTimeLeft) {
  folder_.write("run.json", R"({"run": {"total_steps": 3}, "finished_step": 3})");
  const RunStatus status = read();
  EXPECT_EQ(status.state, RunState::kFinished);
  EXPECT_EQ(status.seconds_left, std::nullopt);
  EXPECT_EQ(status.to_json()["starts"], nullptr);
  EXPECT_EQ(status.to_json()["state"], "finished");
}

TEST(StatusOfAYoungRun, KnowsNoStepYet) {
  const TemporaryFolder folder;
  folder.write("run.json", kRecord);
  const RunStatus status = read_status(folder.path());
  EXPECT_EQ(status.step, 0);
  EXPECT_EQ(status.step_seconds, std::nullopt);
  EXPECT_THAT(status.evaluated, IsEmpty());
  EXPECT_THAT(status.describe(), HasSubstr("step 0 of 10\n  no checkpoint"));
}

TEST(StatusOfNoRun, IsRefused) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of(ErrorKind::kInput, [&] { read_status(folder.path()); }),
              HasSubstr("is not a run's folder"));
}

TEST(StatusOfAFit, StandsForTheRunThatComesAfterIt) {
  const TemporaryFolder folder;
  folder.write("reference/run.json", kRecord);
  folder.write("reference/metrics.jsonl", train_line(1, 3));
  const RunStatus before = read_status(folder.path());
  EXPECT_EQ(before.name, name_of(folder.path()));
  EXPECT_EQ(before.step, 1);
  EXPECT_THAT(before.remarks, Contains(HasSubstr("the fit of its reference")));
  folder.write("run.json", kRecord);
  const RunStatus after = read_status(folder.path());
  EXPECT_EQ(after.step, 0);
  EXPECT_THAT(after.remarks, Not(Contains(HasSubstr("the fit of its reference"))));
}

}  // namespace
}  // namespace ddro::report
