#include "run/event_file.h"

#include <gmock/gmock.h>

#include <fstream>
#include <limits>
#include <set>

#include "ddro/base/files.h"
#include "run/metrics_log.h"
#include "support/expect_error.h"
#include "support/fixtures.h"
#include "support/temporary_folder.h"

namespace ddro::run {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> event_files(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("events.out.tfevents.")) names.insert(name);
  }
  return {names.begin(), names.end()};
}

TEST(EventFile, NamesTagsAsHuggingFacesTrainersDo) {
  const test::TemporaryFolder folder;
  EventFile file(folder.path(), -1);
  file.write("train", 1,
             {{"loss", 0.5}, {"rewards/chosen", 1}, {"grad_norm", std::numeric_limits<double>::quiet_NaN()}});
  file.write("eval", 1, {{"eval_held_out_loss", 0.25}, {"eval_runtime", 2}});
  const std::string content = read_file(folder / event_files(folder.path()).at(0));
  for (const char* tag : {"train/loss", "train/rewards/chosen", "eval/held_out_loss", "eval/runtime"})
    EXPECT_THAT(content, HasSubstr(tag));
  EXPECT_THAT(content, Not(HasSubstr("grad_norm"))) << "not finite";
}

TEST(EventFile, ComesAfterTheFilesThatAreThereWhateverTheClockSays) {
  const test::TemporaryFolder folder;
  const std::string later = "events.out.tfevents.9999999990";
  std::ofstream(folder / later) << "x";
  std::ofstream(folder / "events.out.tfevents.") << "no number";
  EventFile(folder.path(), -1);
  EventFile(folder.path(), 7);
  EXPECT_THAT(event_files(folder.path()),
              ::testing::ElementsAre("events.out.tfevents.", later, "events.out.tfevents.9999999991",
                                     "events.out.tfevents.9999999992"));
  EXPECT_EQ(read_file(folder / later), "x");
}

TEST(EventFile, NamesThePlaceThatCannotBeWritten) {
  EXPECT_THAT(ddro::test::message_of(ErrorKind::kSave, [] { EventFile("/proc/no_such_folder", -1); }),
              HasSubstr("/proc/no_such_folder/events.out.tfevents."));
}

TEST(MetricsLog, WritesToTheSinksThatAreNamed) {
  const test::TemporaryFolder both;
  const test::TemporaryFolder one;
  MetricsLog all(both.path(), train::LoggingOptions{}, -1);
  MetricsLog jsonl(one.path(), train::LoggingOptions{.report_to = {"jsonl"}}, -1);
  for (MetricsLog* log : {&all, &jsonl}) {
    log->write("eval", 3, {{"eval_x_loss", 1}});
    log->sync();
    EXPECT_EQ(log->last_evaluation(), 3);
  }
  EXPECT_EQ(read_file(both / "metrics.jsonl"), read_file(one / "metrics.jsonl"));
  EXPECT_THAT(event_files(one.path()), ::testing::IsEmpty());
  EXPECT_THAT(read_file(both / event_files(both.path()).at(0)), HasSubstr("eval/x_loss"));
}

}  // namespace
}  // namespace ddro::run
