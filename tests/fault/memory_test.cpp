// A bit that flips in the memory of a run, between the update of a step and its save or in what no step
// changes.
#include <gmock/gmock.h>

#include <csignal>

#include "ddro/base/safetensors.h"
#include "e2e/log_lines.h"
#include "e2e/rank_runs.h"
#include "fault/flip_memory.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

using ::testing::HasSubstr;

constexpr const char* kWatched = "model.embed_tokens.weight";

// The first numbers of a tensor of the fixture's folder; the part of its memory that tests change is the last
// byte of these.
std::string first_bytes_of(const std::string& name) {
  const SafetensorsFile file(fixture("tiny_run/model") / "model.safetensors");
  return {reinterpret_cast<const char*>(file.tensors().at(name).bytes.data()), 64};
}

// Halts a run of nine steps at a visit of the place between the update of a step and the writing, flips the
// bit, and lets it go on: it ends at `noticed`, and the start behind that goes on from the save before.
void expect_flip_found(const std::vector<std::string>& settings, const std::string& place, int noticed) {
  std::vector<std::string> all = {"train.max_steps=9", "eval.eval_strategy=no"};
  all.insert(all.end(), settings.begin(), settings.end());
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), all);
  BackgroundProgram program(run.arguments(), run.log().string(), {"DDRO_FAILPOINT=" + place + ":stop"});
  ASSERT_TRUE(program.wait_for_halt(60)) << program.output();
  ASSERT_GT(flip_behind(program.pid(), first_bytes_of(kWatched)), 0);
  program.send(SIGCONT);
  EXPECT_EQ(program.wait(60).code, 70) << program.output();
  EXPECT_THAT(program.output(),
              HasSubstr("ddro-train: error: [memory] after step " + std::to_string(noticed) +
                        " the bits of " + kWatched + " are not what they were"));
  EXPECT_TRUE(std::filesystem::exists(run.output_dir() / "checkpoints/step_000003"));
  EXPECT_FALSE(std::filesystem::exists(run.output_dir() / "checkpoints/step_000006"));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("after step 3 of 9"));
}

// With this rate weights stay as the folder has them, so that they are found in memory.
const std::string kAtRest = "optimizer.learning_rate=1.0e-30";

TEST(FlippedMemory, OfWeightsThatAreBeingSavedIsNotSaved) {
  expect_flip_found({kAtRest, "checkpoint.async_save=false"}, "checkpoint.folder:2", /*noticed=*/6);
}

TEST(FlippedMemory, OfTheCopyThatIsBeingSavedIsNotSaved) {
  expect_flip_found({kAtRest, "checkpoint.async_save=true"}, "checkpoint.folder:2", /*noticed=*/6);
}

TEST(FlippedMemory, OfAFrozenBaseIsFoundAtTheNextSave) {
  expect_flip_found({"adapter.adapter_type=lora"}, "checkpoint.folder:1", /*noticed=*/6);
}

// Between loading and the first step, where each rank has all weights and no reference tells what they were.
// One of the two says so.
TEST(FlippedMemory, OfOneRankEndsAll) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"distributed.shard=none", "objective.loss_type=sft"});
  const int port = free_port();
  std::vector<std::string> halted = started(1, port);
  halted.emplace_back("DDRO_FAILPOINT=train.built:1:stop");
  BackgroundProgram first(run.arguments(), run.log().string(), started(0, port));
  BackgroundProgram second(run.arguments(), (folder / "second.txt").string(), halted);
  ASSERT_TRUE(second.wait_for_halt(60)) << second.output();
  ASSERT_GT(flip_behind(second.pid(), first_bytes_of(kWatched)), 0);
  second.send(SIGCONT);
  EXPECT_EQ(first.wait(60).code, 70) << first.output();
  EXPECT_EQ(second.wait(60).code, 70) << second.output();
  EXPECT_THAT(lines_beside_log(first.output() + second.output()),
              testing::ElementsAre(
                  "ddro-train: error: [ranks] after step 1 the weights of rank 1 are not those of rank 0 "
                  "any more (" +
                  std::string(kWatched) + "); the last checkpoint is kept"));
}

}  // namespace
}  // namespace ddro::test
