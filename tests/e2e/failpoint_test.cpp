// A run that is killed at any of the points that its own code names, and started again, ends as if nothing
// had been.
#include <gmock/gmock.h>

#include <csignal>
#include <regex>
#include <set>

#include "ddro/base/hash.h"
#include "failpoints.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

// "name:count": at each name's first visit, and at a later one where there is one.
constexpr const char* kPoints[] = {"rows.block:1",
                                   "rows.block:2",
                                   "train.loaded:1",
                                   "train.built:1",
                                   "reference_cache.append:1",
                                   "reference_cache.append:4",
                                   "reference_cache.appended:1",
                                   "reference_cache.appended:4",
                                   "checkpoint.folder:1",
                                   "checkpoint.folder:3",
                                   "checkpoint.file:1",
                                   "checkpoint.file:2",
                                   "checkpoint.file:12",
                                   "checkpoint.before_manifest:1",
                                   "checkpoint.before_manifest:3",
                                   "checkpoint.after_manifest:1",
                                   "checkpoint.after_manifest:3",
                                   "checkpoint.before_rename:1",
                                   "checkpoint.before_rename:3",
                                   "checkpoint.after_rename:1",
                                   "checkpoint.after_rename:3",
                                   "checkpoint.rotate_renamed:1",
                                   "checkpoint.rotate_renamed:2",
                                   "checkpoint.rotate_removed:1",
                                   "checkpoint.rotate_removed:2",
                                   "export_after_shard:1",
                                   "export_after_shard:3",
                                   "export_before_compare:1",
                                   "export_before_compare:3",
                                   "export_before_rename:1",
                                   "export_before_rename:3",
                                   "export_after_rename:1",
                                   "export_after_rename:3",
                                   "best.written:1",
                                   "best.written:2",
                                   "best.in_place:1",
                                   "best.in_place:2",
                                   "samples.written:1",
                                   "samples.written:2"};

std::string name_of(const std::string& point) { return point.substr(0, point.find(':')); }

// Four checkpoints, of which two are kept; evaluations with samples at steps 0, 7 and 8, the later one better
// each time.
std::vector<std::string> short_run() {
  std::vector<std::string> settings = sampling();
  settings.insert(settings.end(), {"train.max_steps=8", "checkpoint.save_steps=2",
                                   "checkpoint.save_total_limit=2", "eval.metric_for_best_model=loss"});
  return settings;
}

std::vector<std::string> entries(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("events.out.tfevents.")) names.push_back(name);  // one a start, named by its time
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Failpoints : public ::testing::TestWithParam<const char*> {};

TEST_P(Failpoints, KilledThereAndStartedAgain) {
  const TemporaryFolder straight_folder;
  const TinyRun straight(straight_folder.path(), short_run());
  ASSERT_EQ(straight.run(), 0) << straight.log_text();

  const TemporaryFolder folder;
  const TinyRun run(folder.path(), short_run());
  ASSERT_EQ(run.run({}, {std::string("DDRO_FAILPOINT=") + GetParam()}), -SIGKILL) << run.log_text();
  ASSERT_EQ(run.run(), 0) << run.log_text();

  EXPECT_EQ(hash_file(run.output_dir() / "final/model.safetensors"),
            hash_file(straight.output_dir() / "final/model.safetensors"));
  EXPECT_EQ(hash_file(run.output_dir() / "best/model.safetensors"),
            hash_file(straight.output_dir() / "best/model.safetensors"));
  EXPECT_EQ(lasting_metrics(run), lasting_metrics(straight));
  EXPECT_EQ(samples_of(run), samples_of(straight));
  EXPECT_EQ(entries(run.output_dir() / "checkpoints"),
            (std::vector<std::string>{"step_000006", "step_000008"}));
  EXPECT_EQ(entries(run.output_dir()), entries(straight.output_dir())) << "something half-written is left";
}

INSTANTIATE_TEST_SUITE_P(All, Failpoints, ::testing::ValuesIn(kPoints), [](const auto& point) {
  return std::regex_replace(std::string(point.param), std::regex("[^a-z0-9]"), "_");
});

TEST(Failpoints, AllThatTheCodeNamesAreVisited) {
  std::set<std::string> visited = {"token_cache.write"};  // only with a large set: token_cache_test.cpp
  for (const char* point : kPoints) visited.insert(name_of(point));
  EXPECT_EQ(visited, named_failpoints());
}

}  // namespace
}  // namespace ddro::test
