// A run's folder: the rights of what is in it, links in it and to it, a move, a copy, and what is not in it.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <csignal>

#include "ddro/base/hash.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;
using ::testing::Not;

const std::vector<std::string> kShort = {"train.max_steps=6",
                                         "logging.report_to=[jsonl, tensorboard, prometheus]"};

std::vector<std::string> with(std::vector<std::string> settings, const std::vector<std::string>& more) {
  settings.insert(settings.end(), more.begin(), more.end());
  return settings;
}

// Ended without a word after its first checkpoint.
void kill_after_step_3(const TinyRun& run) {
  ASSERT_EQ(run.run({}, {"DDRO_FAILPOINT=checkpoint.after_rename"}), -SIGKILL) << run.log_text();
}

std::string final_hash(const TinyRun& run) { return hash_file(run.output_dir() / "final/model.safetensors"); }

std::string straight_hash() {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kShort);
  EXPECT_EQ(run.run(), 0) << run.log_text();
  return final_hash(run);
}

void expect_goes_on(const TinyRun& run) {
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("after step 3 of 6"));
  EXPECT_EQ(final_hash(run), straight_hash());
  EXPECT_EQ(run.metrics("train").size(), 6u);
}

unsigned mode_of(const fs::path& path) {
  struct stat info {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777U;
}

class Umask : public testing::TestWithParam<mode_t> {};

TEST_P(Umask, DecidesTheRightsOfEverything) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), with(kShort, sampling()));
  const mode_t before = umask(GetParam());
  const int code = run.run();
  umask(before);
  ASSERT_EQ(code, 0) << run.log_text();
  size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(run.output_dir())) {
    EXPECT_EQ(mode_of(entry.path()), (entry.is_directory() ? 0777U : 0666U) & ~GetParam()) << entry.path();
    ++files;
  }
  EXPECT_GT(files, 20u);
}

INSTANTIATE_TEST_SUITE_P(Usual, Umask, testing::Values(002, 022, 027, 077));

class LinkIn : public testing::TestWithParam<const char*> {};

TEST_P(LinkIn, TheFolderIsRefusedWhereOutputsWouldFollowIt) {
  const TemporaryFolder folder, elsewhere;
  const TinyRun run(folder.path(), kShort);
  fs::create_directory(run.output_dir());
  const bool is_file = std::string(GetParam()).ends_with(".jsonl");
  const fs::path target = is_file ? elsewhere.write("f", "kept") : elsewhere.path();
  fs::create_symlink(target, run.output_dir() / GetParam());
  EXPECT_EQ(run.run(), 2) << run.log_text();
  EXPECT_THAT(run.log_text(),
              HasSubstr(std::string(GetParam()) + "] is a symbolic link; a run writes below"));
  EXPECT_EQ(fs::is_empty(elsewhere.path()), !is_file);
  if (is_file) {
    EXPECT_EQ(read_file(target), "kept");
  }
}

INSTANTIATE_TEST_SUITE_P(Names, LinkIn,
                         testing::Values("checkpoints", "ref_cache", "token_cache", "metrics.jsonl",
                                         "mlflow.jsonl", "samples.jsonl"));

TEST(LinksInTheFolder, GiveWayToFilesThatAreReplaced) {
  const TemporaryFolder folder, elsewhere;
  const TinyRun run(folder.path(), with(kShort, {"eval.metric_for_best_model=loss"}));
  const fs::path target = elsewhere.write("f", "{}");
  fs::create_directory(run.output_dir());
  for (const char* name : {"run.json", "config.yaml", "metrics.prom", "heartbeat.json", "run.json.tmp"})
    fs::create_symlink(target, run.output_dir() / name);
  const auto folders = {"final", "best", "best.new", "best.previous"};
  for (const char* name : folders) fs::create_symlink(elsewhere.path(), run.output_dir() / name);
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_EQ(read_file(target), "{}");
  EXPECT_EQ(std::distance(fs::directory_iterator(elsewhere.path()), fs::directory_iterator()), 1);
  for (const char* name : folders) EXPECT_FALSE(fs::is_symlink(run.output_dir() / name)) << name;
  EXPECT_TRUE(fs::is_directory(run.output_dir() / "final"));
  EXPECT_TRUE(fs::is_directory(run.output_dir() / "best"));
}

TEST(FolderBehindALink, GoesOn) {
  const TemporaryFolder folder, disk;
  const TinyRun run(folder.path(), kShort);
  fs::create_directory(disk / "large");
  fs::create_symlink(disk / "large", run.output_dir());
  kill_after_step_3(run);
  expect_goes_on(run);
  EXPECT_TRUE(fs::is_symlink(run.output_dir()));
  EXPECT_TRUE(fs::is_directory(disk / "large/final"));
}

TEST(FolderThatWasMoved, GoesOn) {
  const TemporaryFolder folder, other;
  const TinyRun run(folder.path(), kShort);
  kill_after_step_3(run);
  const TinyRun moved(other.path(), kShort);
  fs::rename(run.output_dir(), moved.output_dir());
  expect_goes_on(moved);
}

TEST(FolderThatWasCopied, GoesOnAsDoesTheOther) {
  const TemporaryFolder folder, other;
  const TinyRun run(folder.path(), kShort);
  kill_after_step_3(run);
  const TinyRun copy(other.path(), kShort);
  fs::copy(run.output_dir(), copy.output_dir(), fs::copy_options::recursive);
  expect_goes_on(copy);
  expect_goes_on(run);
}

TEST(CheckpointOfAll, IsRefusedUnlessToldOtherwise) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kShort);
  kill_after_step_3(run);
  const fs::path checkpoint = run.output_dir() / "checkpoints/step_000003";
  fs::permissions(checkpoint / "trainer.json", fs::perms::others_write, fs::perm_options::add);
  EXPECT_EQ(run.run(), 3) << run.log_text();
  EXPECT_THAT(run.log_text(),
              HasSubstr("step_000003/trainer.json] (mode 0646) can be written by every user"));
  fs::permissions(checkpoint / "trainer.json", fs::perms::others_write, fs::perm_options::remove);
  fs::permissions(run.output_dir(), fs::perms::all);
  EXPECT_EQ(run.run(), 3) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("run] (mode 0777) can be written by every user"));
  expect_goes_on(TinyRun(folder.path(), with(kShort, {"checkpoint.allow_world_writable=true"})));
}

// As in a folder of a lab, whose group its files inherit.
TEST(CheckpointOfAGroup, IsWarnedAbout) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kShort);
  kill_after_step_3(run);
  fs::permissions(run.output_dir(), fs::perms(02775));
  expect_goes_on(run);
  EXPECT_THAT(run.log_text(), HasSubstr("run] (mode 2775) can be written by its group"));
}

TEST(Secrets, OfTheEnvironmentAreInNoFile) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kShort);
  ASSERT_EQ(run.run({}, {"HF_TOKEN=hf_swordfish1", "WANDB_API_KEY=swordfish2",
                         "HTTPS_PROXY=http://user:swordfish3@proxy.example:3128"}),
            0)
      << run.log_text();
  EXPECT_THAT(run.log_text(), Not(HasSubstr("swordfish")));
  for (const auto& entry : fs::recursive_directory_iterator(run.output_dir())) {
    if (entry.is_regular_file()) {
      EXPECT_THAT(read_file(entry.path()), Not(HasSubstr("swordfish"))) << entry.path();
    }
  }
}

}  // namespace
}  // namespace ddro::test
