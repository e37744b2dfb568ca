// Hours of faults; each test prints its score. DDRO_KILLS, DDRO_POWER_LOSSES and DDRO_LOST_RANKS say how
// many, DDRO_SEED which: each part of a long campaign has its own.
#include <gmock/gmock.h>

#include "e2e/failpoints.h"
#include "fault/damage.h"
#include "fault/failing_calls.h"
#include "fault/lost_power.h"
#include "fault/lost_ranks.h"

namespace ddro::test {
namespace {

TEST(Campaign, OfKills) {
  Campaign campaign(long_run(), kBothWaysToSave, told("DDRO_SEED", 20261129));
  campaign.run(told("DDRO_KILLS", 2000));
  std::printf("kills: %s\n", campaign.score().c_str());
}

TEST(Campaign, OfLossesOfPower) {
  Campaign campaign(long_run(), kBothWaysToSave, told("DDRO_SEED", 20261130));
  campaign.run(told("DDRO_POWER_LOSSES", 500), LostPower(told("DDRO_SEED", 20261130) + 1).surroundings());
  std::printf("losses of power: %s\n", campaign.score().c_str());
}

TEST(Campaign, OfLostRanks) {
  for (const int num_ranks : {2, 4}) {
    LostRanks campaign(num_ranks, kSoon, told("DDRO_SEED", 20261133));
    campaign.run(told("DDRO_LOST_RANKS", 100));
    std::printf("ranks: %s\n", campaign.score().c_str());
  }
}

// Enough rows that their tokens are kept on disk.
std::vector<std::string> with_token_cache(const std::filesystem::path& folder) {
  const std::string rows = read_file(fixture("tiny_run/pairs_train.jsonl"));
  std::string all;
  while (all.size() < size_t{8} << 20) all += rows;
  write_file_atomic(folder / "rows.jsonl", all);
  return {"data.train_files=['" + (folder / "rows.jsonl").string() + "']",
          "data.token_cache_dir='" + (folder / "token_cache").string() + "'",
          "objective.loss_type=sft",
          "data.eval_files={}",
          "eval.eval_strategy=no",
          "train.max_steps=2"};
}

// Kills a run at a visit of a failpoint and lets it go on; false where there is no such visit.
bool kill_at(const std::string& point) {
  const TemporaryFolder folder;
  const bool of_tokens = point.starts_with("token_cache.");
  const bool of_best = point.starts_with("best.");
  const TinyRun run(folder.path(), of_tokens ? with_token_cache(folder.path())
                                   : of_best ? short_run({"eval.metric_for_best_model=loss"})
                                             : short_run());
  const int code = run.run({}, {"DDRO_FAILPOINT=" + point});
  EXPECT_TRUE(code == 0 || code == -SIGKILL) << point << ": " << run.log_text();
  if (code != -SIGKILL) return false;
  EXPECT_EQ(run.run(), 0) << point << ": " << run.log_text();
  // What the others leave is compared in token_cache_test.cpp and best_test.cpp.
  if (!of_tokens && !of_best) expect_as_undisturbed(run, "a kill at " + point);
  return true;
}

TEST(Campaign, OfEveryVisitOfEveryFailpoint) {
  int kills = 0;
  for (const std::string& name : named_failpoints()) {
    int visits = 0;
    while (kill_at(name + ":" + std::to_string(visits + 1))) ++visits;
    EXPECT_GT(visits, 0) << name << " is never visited";
    kills += visits;
  }
  std::printf("failpoints: %d kills, %zu failpoints\n", kills, named_failpoints().size());
}

TEST(Campaign, OfEveryCallThatFails) {
  constexpr const char* kErrors[] = {"ENOSPC", "EDQUOT", "EROFS", "EIO"};
  int tried = 0;
  for (const std::string call : {"open", "write", "fsync", "rename", "mkdir", "close"}) {
    const int calls = count_calls(call);
    EXPECT_GT(calls, 0) << call;
    for (int i = 1; i <= calls; ++i) {
      const std::string error = std::string(":") + kErrors[i % 4];
      expect_survived(call + ":" + std::to_string(i) + error);  // this one
      if (i % 5 == 0)
        expect_survived(call + ":" + std::to_string(i) + "-1000000" + error);  // and all behind it
      tried += i % 5 == 0 ? 2 : 1;
    }
  }
  std::printf("failing calls: %d\n", tried);
}

TEST(Campaign, OfFlippedBits) {
  constexpr int kBitsOfAFile = 20;
  const TemporaryFolder folder;
  std::mt19937 random(20261132);
  int flips = 0, went_on = 0;
  const auto with_checkpoints = killed_run(folder / "saved", true),
             with_cache = killed_run(folder / "cached", false);
  for (int round = 0; round < kBitsOfAFile; ++round) {
    for (const auto& file : files_below(with_checkpoints, "checkpoints/step_000008")) {
      EXPECT_TRUE(expect_damage_found(with_checkpoints, file, random)) << "no older checkpoint was taken";
      ++flips;
    }
    for (const auto& file : files_below(with_cache, "ref_cache")) {
      if (file.extension() != ".logp") continue;
      went_on += expect_damage_found(with_cache, file, random);
      ++flips;
    }
  }
  std::printf("flipped bits: %d; of those in a cache %d of %d went on, the others were refused\n", flips,
              went_on, kBitsOfAFile);
}

// A twin of a run that goes on, and one that is started as its holder is killed.
TEST(Campaign, OfTwins) {
  int refused = 0, taken_over = 0;
  for (int round = 0; round < 50; ++round) {
    const TemporaryFolder folder;
    const TinyRun run(folder.path(), short_run());
    BackgroundProgram first(run.arguments(), run.log().string(),
                            {"DDRO_FAILPOINT=checkpoint.file:" + std::to_string(1 + round % 30) + ":stop"});
    ASSERT_TRUE(first.wait_for_halt(60)) << first.output();
    BackgroundProgram twin(run.arguments(), (folder / "twin.txt").string());
    EXPECT_EQ(twin.wait(60).code, 2) << twin.output();
    EXPECT_THAT(twin.output(), ::testing::HasSubstr(".lock] the folder is in use by process"));
    ++refused;
    first.send(SIGKILL);
    BackgroundProgram heir(run.arguments(), (folder / "heir.txt").string());
    EXPECT_EQ(heir.wait(60).code, 0) << heir.output();
    expect_as_undisturbed(run, "a twin that took over");
    ++taken_over;
  }
  std::printf("twins: %d refused, %d took over\n", refused, taken_over);
}

}  // namespace
}  // namespace ddro::test
