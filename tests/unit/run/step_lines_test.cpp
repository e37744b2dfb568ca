#include "run/step_lines.h"

#include <fstream>

#include "support/expect_error.h"
#include "support/fixtures.h"
#include "support/temporary_folder.h"

namespace ddro::run {
namespace {

std::filesystem::path file_with(const test::TemporaryFolder& folder, const std::string& content) {
  const auto path = folder / "lines.jsonl";
  std::ofstream(path) << content;
  return path;
}

TEST(StepLines, KeepsTheLinesUpToTheStepAndShowsThem) {
  const test::TemporaryFolder folder;
  const auto path =
      file_with(folder, "{\"step\":0}\n{\"step\":2,\"a\":1}\n{\"step\":2}\n{\"step\":3}\n{\"st");
  std::vector<std::string> kept;
  StepLines lines(path, 2, [&](const Json& line) { kept.push_back(line.dump()); });
  EXPECT_THAT(kept, ::testing::ElementsAre("{\"step\":0}", "{\"step\":2,\"a\":1}", "{\"step\":2}"));
  lines.append("{\"step\":4}\n{\"step\":4}\n");
  lines.sync();
  EXPECT_EQ(read_file(path),
            "{\"step\":0}\n{\"step\":2,\"a\":1}\n{\"step\":2}\n{\"step\":4}\n{\"step\":4}\n");
}

TEST(StepLines, EndsBeforeTheFirstLineThatIsNone) {
  for (const char* other : {"nonsense\n", "[1]\n", "{}\n", "{\"step\":1.5}\n", "\n", "{\"step\":1}"}) {
    const test::TemporaryFolder folder;
    const auto path = file_with(folder, std::string("{\"step\":1}\n") + other);
    StepLines(path, 9);
    EXPECT_EQ(read_file(path), "{\"step\":1}\n") << other;
  }
}

TEST(StepLines, MakesAFileThatIsNotThereAndEmptiesOneOfAnotherRun) {
  const test::TemporaryFolder folder;
  StepLines(folder / "new.jsonl", 5);
  EXPECT_EQ(read_file(folder / "new.jsonl"), "");
  const auto path = file_with(folder, "{\"step\":0}\n");
  StepLines(path, -1);
  EXPECT_EQ(read_file(path), "");
}

TEST(StepLines, NamesThePathThatCannotBeOpened) {
  const test::TemporaryFolder folder;
  EXPECT_THAT(ddro::test::message_of(ErrorKind::kSave, [&] { StepLines(folder.path(), -1); }),
              ::testing::HasSubstr(folder.path().string() + "] cannot be written: Is a directory"));
}

}  // namespace
}  // namespace ddro::run
