// Checkpoints of several ranks, each of which writes its files while the steps go on.
#include <gmock/gmock.h>

#include <algorithm>
#include <csignal>
#include <deque>
#include <map>
#include <random>

#include "ddro/base/hash.h"
#include "e2e/rank_runs.h"
#include "fault/damage.h"
#include "fault/faulty_disk.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

using Settings = std::vector<std::string>;

// Saves after 3, 6, 9 and 12, of which two are kept.
Settings twelve_steps(const char* shard) {
  Settings settings = kSoon;
  settings.insert(settings.end(), {"train.max_steps=12", "checkpoint.save_total_limit=2",
                                   std::string("distributed.shard=") + shard});
  return settings;
}

// What nothing disturbs, in two ranks, made once for each way to share out. Its steps wait for the disk.
const TinyRun& undisturbed(const char* shard) {
  struct Made {
    explicit Made(Settings settings) : run(folder.path(), std::move(settings)) {
      if (run.run(ranks(2)) != 0) throw std::runtime_error("the undisturbed run failed: " + run.log_text());
    }
    TemporaryFolder folder;
    TinyRun run;
  };
  static std::map<std::string, Made> made;
  Settings settings = twelve_steps(shard);
  settings.emplace_back("checkpoint.async_save=false");
  return made.try_emplace(shard, settings).first->second.run;
}

// The files of the checkpoints that are left, with what those of tensors hold.
std::map<std::string, std::string> saved(const TinyRun& run) {
  std::map<std::string, std::string> hashes;
  const auto checkpoints = run.output_dir() / "checkpoints";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(checkpoints)) {
    const std::string name = entry.path().lexically_relative(checkpoints).string();
    hashes[name] = name.ends_with(".safetensors") ? hash_file(entry.path()) : "";
  }
  return hashes;
}

void expect_same_as_straight(const TinyRun& run, const char* shard) {
  const TinyRun& straight = undisturbed(shard);
  EXPECT_EQ(hash_file(run.output_dir() / "final/model.safetensors"),
            hash_file(straight.output_dir() / "final/model.safetensors"));
  EXPECT_EQ(lasting_metrics(run), lasting_metrics(straight));
  EXPECT_EQ(saved(run), saved(straight));
}

class RankSaves : public ::testing::TestWithParam<const char*> {};

// Whose checkpoints reach the disk when it is let go, not before.
TEST_P(RankSaves, StepsGoOnMeanwhile) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), twelve_steps(GetParam()));
  BackgroundProgram program(
      run.arguments(ranks(2)), run.log().string(),
      faulty_disk(run.output_dir() / "checkpoints", {"DDRO_DISK_HOLD=" + folder.write("hold", "").string()}));
  ASSERT_TRUE(program.wait_for_output("step 5/12", 60)) << program.output();
  EXPECT_THAT(program.output(), Not(HasSubstr("saved ")));
  std::filesystem::remove(folder / "hold");
  ASSERT_EQ(program.wait(60).code, 0) << program.output();
  expect_same_as_straight(run, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Shards, RankSaves, ::testing::Values("optimizer", "full"));

// Two ranks, one of which has variables of its own.
struct TwoStarted {
  TwoStarted(const TinyRun& run, int rank, Settings environment) {
    const int port = free_port();
    for (const int each : {0, 1}) {
      Settings variables = started(each, port);
      if (each == rank) variables.insert(variables.end(), environment.begin(), environment.end());
      programs.emplace_back(run.arguments(), run.log().string() + std::to_string(each), variables);
    }
  }
  std::deque<BackgroundProgram> programs;
};

struct Kill {
  int rank;
  const char* place;  // of the second checkpoint
  bool is_saved;
};

class KilledSave : public ::testing::TestWithParam<Kill> {};

// The other ends, the checkpoint is whole or absent, and the same command goes on.
TEST_P(KilledSave, LosesNothing) {
  const Kill& at = GetParam();
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), twelve_steps("optimizer"));
  {
    TwoStarted two(run, at.rank, {std::string("DDRO_FAILPOINT=") + at.place});
    EXPECT_EQ(two.programs[static_cast<size_t>(at.rank)].wait(60).signal, SIGKILL);
    BackgroundProgram& other = two.programs[static_cast<size_t>(1 - at.rank)];
    EXPECT_EQ(other.wait(kGoneWithin).code, 76) << other.output();
  }
  const auto checkpoints = run.output_dir() / "checkpoints";
  EXPECT_TRUE(std::filesystem::exists(checkpoints / "step_000003"));
  EXPECT_EQ(std::filesystem::exists(checkpoints / "step_000006"), at.is_saved);
  ASSERT_EQ(run.run(ranks(2)), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr(at.is_saved ? "after step 6 of 12" : "after step 3 of 12"));
  expect_same_as_straight(run, "optimizer");
}

// The second rank writes two files in each.
INSTANTIATE_TEST_SUITE_P(Places, KilledSave,
                         ::testing::Values(Kill{1, "checkpoint.file:4", false},
                                           Kill{0, "checkpoint.before_rename:2", false},
                                           Kill{0, "checkpoint.after_rename:2", true}),
                         [](const auto& entry) {
                           std::string name = entry.param.place;
                           std::ranges::replace_if(
                               name, [](char c) { return c == '.' || c == ':'; }, '_');
                           return name + "_of_" + std::to_string(entry.param.rank);
                         });

// Nothing can be written by one of them.
TEST(RankSaves, FailWhereOneRanksDiskDoes) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), twelve_steps("full"));
  const auto checkpoints = run.output_dir() / "checkpoints";
  TwoStarted two(run, 1, faulty_disk(checkpoints, {"DDRO_DISK_FAIL=write:1-1000000:ENOSPC"}));
  for (BackgroundProgram& program : two.programs) EXPECT_EQ(program.wait(60).code, 78) << program.output();
  const std::string told = two.programs[0].output();
  EXPECT_THAT(
      told, AllOf(HasSubstr("a checkpoint could not be saved, the next is tried after the next interval: [" +
                            (checkpoints / "step_000006.tmp/model-00002-of-00002.safetensors").string() +
                            "] cannot be written: No space left on device"),
                  Not(HasSubstr("exported")), Not(HasSubstr("saved "))));
  // Whichever rank comes to the third failure first says so.
  EXPECT_THAT(told + two.programs[1].output(), HasSubstr("step_000009.tmp/"));
  EXPECT_TRUE(std::filesystem::is_empty(checkpoints));
}

TEST(RankSaves, ADamagedFileOfOneRankFallsBackToTheCheckpointBefore) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), twelve_steps("full"));
  ASSERT_EQ(run.run(ranks(2), {"DDRO_FAILPOINT=checkpoint.after_rename:3"}), 76) << run.log_text();
  std::mt19937 random(1);
  const auto newest = run.output_dir() / "checkpoints/step_000009";
  flip_bit(newest / "optimizer-00002-of-00002.safetensors", random);
  ASSERT_EQ(run.run(ranks(2)), 0) << run.log_text();
  EXPECT_THAT(run.log_text(),
              AllOf(HasSubstr("optimizer-00002-of-00002.safetensors] is damaged"),
                    HasSubstr("resuming from " + (newest.parent_path() / "step_000006").string())));
  expect_same_as_straight(run, "full");
}

}  // namespace
}  // namespace ddro::test
