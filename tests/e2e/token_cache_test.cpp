// Tokens on disk: what is written, when, and that a run from them is the same run.
#include <gmock/gmock.h>

#include <csignal>

#include "ddro/base/hash.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kRead = "tokens read from ";
const std::string kWritten = "tokens written to ";

// Copies of a file of the tiny run, together above the size from which sets are kept.
std::string large(const std::filesystem::path& folder, const std::string& name) {
  const std::string rows = read_file(fixture("tiny_run/" + name));
  std::string all;
  while (all.size() < size_t{8} << 20) all += rows;
  const std::filesystem::path path = folder / name;
  write_file_atomic(path, all);
  return path.string();
}

class TokenCache : public ::testing::Test {
 protected:
  // A run that reads no reference: its cache would be of all rows.
  TinyRun run_in(const std::filesystem::path& folder) const {
    std::filesystem::create_directory(folder);
    return TinyRun(folder, {"data.train_files=['" + train_ + "']", "data.eval_files={}", "train.max_steps=2",
                            "objective.loss_type=sft", "eval.eval_strategy=no",
                            "data.token_cache_dir='" + cache_.string() + "'"});
  }
  size_t num_files() const {
    size_t files = 0;
    if (!std::filesystem::exists(cache_)) return 0;
    for (const auto& entry : std::filesystem::directory_iterator(cache_))
      files += entry.path().extension() == ".tokens";
    return files;
  }

  TemporaryFolder folder_;
  std::filesystem::path cache_ = folder_ / "cache";
  std::string train_ = large(folder_.path(), "pairs_train.jsonl");
};

TEST_F(TokenCache, ARunFromItIsTheSameRun) {
  const TinyRun first = run_in(folder_ / "first");
  EXPECT_EQ(first.run({"--dry-run"}), 0) << first.log_text();
  EXPECT_FALSE(std::filesystem::exists(cache_)) << "a dry run has written something";
  ASSERT_EQ(first.run(), 0) << first.log_text();
  EXPECT_THAT(first.log_text(), HasSubstr("tokens not in " + cache_.string()));
  EXPECT_THAT(first.log_text(), HasSubstr(kWritten + cache_.string()));
  EXPECT_EQ(num_files(), 1u);

  const TinyRun second = run_in(folder_ / "second");
  ASSERT_EQ(second.run(), 0) << second.log_text();
  EXPECT_THAT(second.log_text(), HasSubstr(kRead + cache_.string()));
  EXPECT_THAT(second.log_text(), Not(HasSubstr(kWritten)));
  EXPECT_EQ(lasting_metrics(second), lasting_metrics(first));
  EXPECT_EQ(hash_file(second.output_dir() / "final/model.safetensors"),
            hash_file(first.output_dir() / "final/model.safetensors"));
  EXPECT_EQ(num_files(), 1u);
}

TEST_F(TokenCache, KilledWhileItIsWrittenAndStartedAgain) {
  const TinyRun run = run_in(folder_ / "first");
  ASSERT_EQ(run.run({}, {"DDRO_FAILPOINT=token_cache.write:1"}), -SIGKILL) << run.log_text();
  EXPECT_EQ(num_files(), 0u);
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr(kWritten + cache_.string()));
  EXPECT_EQ(num_files(), 1u);

  const TinyRun straight = run_in(folder_ / "second");
  ASSERT_EQ(straight.run(), 0) << straight.log_text();
  EXPECT_EQ(hash_file(run.output_dir() / "final/model.safetensors"),
            hash_file(straight.output_dir() / "final/model.safetensors"));
}

TEST_F(TokenCache, AFolderThatCannotBeWrittenDoesNotStopARun) {
  write_file_atomic(cache_, "a file");
  const TinyRun run = run_in(folder_ / "first");
  EXPECT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("the tokens are not kept, the next start reads the data files"));
}

TEST_F(TokenCache, EvaluationsReadItAndWriteNothing) {
  const TinyRun run = run_in(folder_ / "first");
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const std::string set = "data.eval_files={small: '" + fixture("tiny_run/pairs_eval.jsonl").string() + "'}";
  std::vector<std::string> arguments = run.arguments({"--set", set});
  arguments.erase(arguments.begin());
  arguments[0] = "eval";
  const ProgramResult result = ddro_train(arguments);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr(kRead + cache_.string()));
  EXPECT_EQ(num_files(), 1u);
}

TEST(TokenCacheFolder, IsTheRunsOwnByDefaultAndSmallSetsAreNotKept) {
  const TemporaryFolder folder;
  const TinyRun small(folder.path(), {"train.max_steps=1", "objective.loss_type=sft"});
  ASSERT_EQ(small.run(), 0) << small.log_text();
  EXPECT_FALSE(std::filesystem::exists(small.output_dir() / "token_cache"));
  const std::string train = large(folder.path(), "pairs_train.jsonl");
  const TinyRun run(folder.path(), {"train.max_steps=1", "objective.loss_type=sft", "eval.eval_strategy=no",
                                    "data.train_files=['" + train + "']",
                                    "train.output_dir='" + (folder / "other").string() + "'"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_TRUE(std::filesystem::exists(folder / "other/token_cache"));
}

}  // namespace
}  // namespace ddro::test
