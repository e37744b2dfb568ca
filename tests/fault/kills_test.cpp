// Kills and losses of power at any moment: nothing that was reported is lost. Hundreds more:
// campaign_test.cpp.
#include <gmock/gmock.h>

#include "fault/campaign.h"
#include "fault/lost_power.h"
#include "support/run_program.h"

namespace ddro::test {
namespace {

TEST(Kills, LoseNothing) {
  Campaign campaign(long_run(), kBothWaysToSave, /*seed=*/20260101);
  campaign.run(30);
  EXPECT_GT(campaign.resumed(), 6) << "the kills came before anything was saved";
}

TEST(LostPower, LosesNothing) {
  Campaign campaign(long_run(), kBothWaysToSave, /*seed=*/20260102);
  campaign.run(10, LostPower(/*seed=*/20260103).surroundings());
  EXPECT_GT(campaign.resumed(), 2) << "the kills came before anything was saved";
}

// What the loss of power above is worth: shell commands that sync all, some or nothing.
class Disk : public ::testing::Test {
 protected:
  // Names and contents that are left of the folder after `commands` in it.
  std::map<std::string, std::string> left_after(const std::string& commands, Unsynced unsynced) const {
    const auto disk = folder_ / "disk", durable = folder_ / "durable";
    std::filesystem::remove_all(disk);
    std::filesystem::create_directory(disk);
    keep_all(disk, durable);
    std::vector<std::string> command = faulty_disk(disk, {"DDRO_DISK_DURABLE=" + durable.string()});
    command.insert(command.begin(), "env");
    command.insert(command.end(), {"bash", "-c", "cd '" + disk.string() + "'; " + commands});
    EXPECT_EQ(run_program(command).exit_code, 0);
    PowerLoss(disk, durable).apply([&] { return unsynced; });
    std::map<std::string, std::string> left;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(disk)) {
      if (entry.is_regular_file())
        left[entry.path().lexically_relative(disk).string()] = read_file(entry.path());
    }
    return left;
  }

 private:
  TemporaryFolder folder_;
};

using Files = std::map<std::string, std::string>;

TEST_F(Disk, LosesWhatWasNotSynced) {
  const std::string written = "echo a > file; mkdir folder; echo b > folder/inner";
  EXPECT_EQ(left_after(written, Unsynced::kLost), Files{});
  EXPECT_EQ(left_after(written, Unsynced::kNamesKept), (Files{{"file", ""}, {"folder/inner", ""}}));
  EXPECT_EQ(left_after(written + "; sync file folder/inner", Unsynced::kLost), Files{});
  EXPECT_EQ(left_after(written + "; sync .", Unsynced::kLost), (Files{{"file", ""}}));
}

TEST_F(Disk, KeepsWhatWasSynced) {
  const std::string written =
      "echo a > file; mkdir folder; echo b > folder/inner; sync file folder/inner folder .";
  const Files all = {{"file", "a\n"}, {"folder/inner", "b\n"}};
  for (const Unsynced unsynced : {Unsynced::kLost, Unsynced::kNamesKept}) {
    EXPECT_EQ(left_after(written, unsynced), all);
    EXPECT_EQ(left_after(written + "; echo more >> file", unsynced), all);
  }
  EXPECT_EQ(left_after(written + "; mv folder moved; rm file", Unsynced::kLost), all);
  EXPECT_EQ(left_after(written + "; mv folder moved; rm file", Unsynced::kNamesKept),
            (Files{{"moved/inner", "b\n"}}));
  EXPECT_EQ(left_after(written + "; mv folder moved; rm file; sync .", Unsynced::kLost),
            (Files{{"moved/inner", "b\n"}}));
}

TEST_F(Disk, TakesANewFileForAnotherOne) {
  EXPECT_EQ(left_after("echo a > file; sync file .; rm file; echo b > other; sync .", Unsynced::kLost),
            (Files{{"other", ""}}));
}

}  // namespace
}  // namespace ddro::test
