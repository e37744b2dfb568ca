// Flipped bits in what a run left, and a data file that changes while it goes on. More bits:
// campaign_test.cpp.
#include "fault/damage.h"

#include <csignal>

#include "support/background_program.h"

namespace ddro::test {
namespace {

using ::testing::HasSubstr;

TEST(Damage, InANewestCheckpointFallsBackToTheOneBefore) {
  const TemporaryFolder folder;
  const auto killed = killed_run(folder / "killed", /*with_checkpoints=*/true);
  std::mt19937 random(1);
  for (const char* file : {"manifest.json", "optimizer.safetensors", "tokenizer.json"}) {
    EXPECT_TRUE(expect_damage_found(killed, std::filesystem::path("checkpoints/step_000008") / file, random));
  }
}

TEST(Damage, InTheCacheOfTheReferenceIsComputedAgain) {
  const TemporaryFolder folder;
  const auto killed = killed_run(folder / "killed", /*with_checkpoints=*/false);
  std::mt19937 random(2);
  for (const auto& file : files_below(killed, "ref_cache")) {
    if (file.extension() == ".logp") expect_damage_found(killed, file, random);
  }
}

// The run has its rows in memory and goes on with them; its next start sees other rows.
TEST(ChangedData, IsRefusedAtTheNextStartUntilItIsAsItWas) {
  const TemporaryFolder folder;
  const std::string rows = read_file(fixture("tiny_run/pairs_train.jsonl"));
  const auto data = folder.write("rows.jsonl", rows);
  const std::vector<std::string> settings = short_run({"data.train_files=['" + data.string() + "']"});
  const TemporaryFolder straight_folder;
  const TinyRun straight(straight_folder.path(), settings);
  ASSERT_EQ(straight.run(), 0) << straight.log_text();

  const TinyRun run(folder.path(), settings);
  BackgroundProgram program(run.arguments(), run.log().string(),
                            {"DDRO_FAILPOINT=checkpoint.after_rename:1:stop"});
  ASSERT_TRUE(program.wait_for_halt(60)) << program.output();
  folder.write("rows.jsonl", rows.substr(0, rows.rfind('\n', rows.size() - 2) + 1));
  program.send(SIGTERM);
  program.send(SIGCONT);
  ASSERT_EQ(program.wait(60).code, 75) << program.output();
  EXPECT_EQ(run.run(), 2);
  EXPECT_THAT(run.log_text(), HasSubstr("data"));
  folder.write("rows.jsonl", rows);
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_EQ(hash_file(run.output_dir() / "final/model.safetensors"),
            hash_file(straight.output_dir() / "final/model.safetensors"));
  EXPECT_EQ(lasting_metrics(run), lasting_metrics(straight));
}

}  // namespace
}  // namespace ddro::test
