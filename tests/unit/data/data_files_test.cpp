#include "data/data_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace ddro::data {
namespace {

using test::message_of;
using test::TemporaryFolder;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(ExpandPatterns, KeepsTheOrderOfPatternsAndSortsEachGlob) {
  const TemporaryFolder folder;
  for (const char* name : {"b.jsonl", "a.jsonl", "c.json", "[x].jsonl"}) folder.write(name, "{}\n");
  EXPECT_THAT(expand_patterns({folder / "c.json", folder / "?.jsonl"}),
              ElementsAre(folder / "c.json", folder / "a.jsonl", folder / "b.jsonl"));
  EXPECT_THAT(expand_patterns({folder / "[x].jsonl"}), ElementsAre(folder / "[x].jsonl"));
}

TEST(ExpandPatterns, RefusesWhatIsNotThereOrNotRead) {
  const TemporaryFolder folder;
  folder.write("rows.csv", "a,b");
  folder.write("set/rows.jsonl", "{}");
  const auto problem = [](const std::string& pattern) {
    return message_of(ErrorKind::kInput, [&] { expand_patterns({pattern}); });
  };
  EXPECT_EQ(problem(folder / "no*.jsonl"),
            "[data] " + (folder / "no*.jsonl").string() +
                ": no such file; relative paths are relative to the working directory");
  EXPECT_THAT(problem(folder / "*.csv"), HasSubstr(".csv files are not read; expected .jsonl or .json"));
  EXPECT_THAT(problem(folder / "set"),
              HasSubstr("/set: is a folder; name its files, such as " + (folder / "set/*.jsonl").string()));
}

}  // namespace
}  // namespace ddro::data
