// No room for a checkpoint: the run goes on without it, three times in a row end it, and the older one stays.
// A limit of file size, which lets metrics be written but no weights, stands for the full disk.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include "ddro/base/hash.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

using ::testing::HasSubstr;

constexpr rlim_t kTooSmallForWeights = 100'000;

// For programs that are started in its scope.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {bytes, before_.rlim_max};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) throw std::runtime_error("no limit of file size");
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

  const rlimit& before() const { return before_; }

 private:
  rlimit before_{};
};

int count(const std::string& text, const std::string& part) {
  int times = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++times;
  return times;
}

// A rate that does not depend on where the run ends.
const std::vector<std::string> kConstantRate = {"optimizer.lr_scheduler_type=constant"};

std::vector<std::string> with(std::vector<std::string> all, const std::string& more) {
  all.push_back(more);
  return all;
}

TEST(FullDisk, ThreeFailuresInARowEndTheRunAndTheOlderCheckpointHolds) {
  const TemporaryFolder straight_folder;
  const TinyRun straight(straight_folder.path(), kConstantRate);
  ASSERT_EQ(straight.run(), 0) << straight.log_text();

  const TemporaryFolder folder;
  ASSERT_EQ(TinyRun(folder.path(), with(kConstantRate, "train.max_steps=3")).run(), 0);
  const TinyRun run(folder.path(), kConstantRate);
  const auto checkpoints = run.output_dir() / "checkpoints";
  {
    const FileSizeLimit limit(kTooSmallForWeights);
    EXPECT_EQ(run.run(), 78) << run.log_text();
  }
  const std::string log = run.log_text();
  EXPECT_EQ(count(log, "a checkpoint could not be saved"), 2) << log;
  EXPECT_THAT(log, HasSubstr("step 12/28"));
  // Written beside the steps; the next that is due waits for it.
  EXPECT_THAT(log, ::testing::Not(HasSubstr("step 16/28")));
  EXPECT_THAT(
      log, HasSubstr("ddro-train: error: [" + (checkpoints / "step_000012.tmp/model.safetensors").string() +
                     "] cannot be written: File too large"));
  size_t left = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(checkpoints)) ++left;
  EXPECT_EQ(left, 1u) << "something half-written is left";
  const auto inspected =
      ddro::test::ddro_train({"inspect", "checkpoint", (checkpoints / "step_000003").string()});
  EXPECT_EQ(inspected.exit_code, 0) << inspected.err;

  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("resuming from " + (checkpoints / "step_000003").string()));
  EXPECT_EQ(hash_file(run.output_dir() / "final/model.safetensors"),
            hash_file(straight.output_dir() / "final/model.safetensors"));
}

TEST(FullDisk, OneFailureChangesNothingOnceThereIsRoomAgain) {
  const TemporaryFolder straight_folder;
  const TinyRun straight(straight_folder.path(), {"train.max_steps=12"});
  ASSERT_EQ(straight.run(), 0) << straight.log_text();

  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=12"});
  const FileSizeLimit limit(kTooSmallForWeights);
  // Halts where the second checkpoint is begun, so that there is time to make room.
  BackgroundProgram program(run.arguments(), run.log().string(), {"DDRO_FAILPOINT=checkpoint.folder:2:stop"});
  ASSERT_TRUE(program.wait_for_halt(60)) << program.output();
  EXPECT_THAT(program.output(),
              HasSubstr("a checkpoint could not be saved, the next is tried after the next interval"));
  ASSERT_EQ(prlimit(program.pid(), RLIMIT_FSIZE, &limit.before(), nullptr), 0);
  program.send(SIGCONT);
  EXPECT_EQ(program.wait(60).code, 0) << program.output();
  EXPECT_THAT(program.output(),
              ::testing::Not(HasSubstr("saved " + (run.output_dir() / "checkpoints/step_000003").string())));
  EXPECT_THAT(program.output(),
              HasSubstr("saved " + (run.output_dir() / "checkpoints/step_000006").string()));
  EXPECT_EQ(hash_file(run.output_dir() / "final/model.safetensors"),
            hash_file(straight.output_dir() / "final/model.safetensors"));
}

TEST(FullDisk, DuringTheReferenceBuildKeepsWhatIsThere) {
  const TemporaryFolder straight_folder;
  const TinyRun straight(straight_folder.path(), {"train.max_steps=3"});
  ASSERT_EQ(straight.run(), 0) << straight.log_text();

  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=3"});
  {
    const FileSizeLimit limit(4096 + 32 * 32 + 7);  // room for 32 records and a part of one
    EXPECT_EQ(run.run(), 78) << run.log_text();
  }
  EXPECT_THAT(run.log_text(),
              ::testing::ContainsRegex("error: .*/ref_cache/reference_[0-9a-f]*.logp. cannot be "
                                       "written: File too large"));
  const auto inspected =
      ddro::test::ddro_train({"inspect", "cache", (run.output_dir() / "ref_cache").string()});
  EXPECT_EQ(inspected.exit_code, 0) << inspected.err;
  EXPECT_THAT(inspected.out, HasSubstr("32 valid, 0 damaged, 7 bytes"));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("7 bytes of a record cut short at its end"));
  EXPECT_EQ(hash_file(run.output_dir() / "final/model.safetensors"),
            hash_file(straight.output_dir() / "final/model.safetensors"));
}

}  // namespace
}  // namespace ddro::test
