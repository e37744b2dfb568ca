#include "data/data_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ddro/base/error.h"
#include "support/temporary_folder.h"

namespace ddro::data {
namespace {

using test::TemporaryFolder;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> lines_of(const std::string& path, std::string* hash = nullptr) {
  Hasher hasher;
  LineReader reader(path, hasher);
  std::vector<std::string> lines;
  for (Line line; reader.next(line);) {
    lines.push_back(line.where.substr(line.where.rfind(':') + 1) + " " +
                    (line.too_long ? "too long" : line.text) + (line.unterminated ? " unterminated" : ""));
  }
  if (hash) *hash = hasher.hex();
  return lines;
}

TEST(ExpandPatterns, KeepsTheOrderOfPatternsAndSortsEachGlob) {
  const TemporaryFolder folder;
  for (const char* name : {"b.jsonl", "a.jsonl", "c.json", "[x].jsonl"}) folder.write(name, "{}\n");
  EXPECT_THAT(expand_patterns({folder / "c.json", folder / "?.jsonl"}),
              ElementsAre(folder / "c.json", folder / "a.jsonl", folder / "b.jsonl"));
  EXPECT_THAT(expand_patterns({folder / "[x].jsonl"}), ElementsAre(folder / "[x].jsonl"));
}

TEST(ExpandPatterns, RefusesWhatIsNotThereOrNotJsonLines) {
  const TemporaryFolder folder;
  folder.write("rows.parquet", "PAR1");
  const auto problem = [](const std::string& pattern) {
    try {
      expand_patterns({pattern});
      return std::string("accepted");
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  EXPECT_EQ(problem(folder / "no*.jsonl"),
            "[data] " + (folder / "no*.jsonl").string() +
                ": no such file; relative paths are relative to the working directory");
  EXPECT_THAT(problem(folder / "*"),
              HasSubstr(".parquet files are not supported; expected JSON lines (.jsonl)"));
}

TEST(LineReader, SkipsMarksEndingsAndBlankLines) {
  const TemporaryFolder folder;
  folder.write("a", "\xEF\xBB\xBF{1}\r\n\r\n \t\n{2}\n\n{3}");
  EXPECT_THAT(lines_of(folder / "a"), ElementsAre("1 {1}\r", "4 {2}", "6 {3} unterminated"));
  folder.write("b", "");
  EXPECT_THAT(lines_of(folder / "b"), IsEmpty());
  folder.write("c", "\n\n\n");
  EXPECT_THAT(lines_of(folder / "c"), IsEmpty());
}

TEST(LineReader, HashesEveryByteAcrossBuffers) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 300000; ++i) text += "{" + std::to_string(i) + "}\n";
  folder.write("a", text);
  std::string hash;
  const std::vector<std::string> lines = lines_of(folder / "a", &hash);
  ASSERT_EQ(lines.size(), 300000u);
  for (size_t i = 0; i < lines.size(); ++i) {
    ASSERT_EQ(lines[i], std::to_string(i + 1) + " {" + std::to_string(i) + "}");
  }
  EXPECT_EQ(hash, hash_text(text));
}

TEST(LineReader, LeavesOutALineAboveTheLimitAndGoesOn) {
  const TemporaryFolder folder;
  folder.write("a", std::string(kMaxLineBytes, 'x') + "\n" + std::string(kMaxLineBytes + 1, ' ') + "\n{}\n");
  Hasher hasher;
  LineReader reader(folder / "a", hasher);
  Line line;
  ASSERT_TRUE(reader.next(line));
  EXPECT_FALSE(line.too_long);
  EXPECT_EQ(line.text.size(), kMaxLineBytes);
  ASSERT_TRUE(reader.next(line));
  EXPECT_TRUE(line.too_long);
  EXPECT_TRUE(line.text.empty());
  ASSERT_TRUE(reader.next(line));
  EXPECT_EQ(line.text, "{}");
  EXPECT_FALSE(reader.next(line));
}

TEST(LineReader, RefusesWhatCannotBeRead) {
  const TemporaryFolder folder;
  EXPECT_THROW(lines_of(folder / "missing"), Error);
  try {
    lines_of(folder / "");
    ADD_FAILURE() << "read a folder";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("cannot be read; Is a directory"));
  }
}

}  // namespace
}  // namespace ddro::data
