// The program as a user types it: help, versions, usage errors, output that cannot be written.
#include <gmock/gmock.h>

#include <algorithm>

#include "ddro/base/files.h"
#include "support/run_program.h"

namespace ddro {
namespace {

using test::ddro_train;
using test::ProgramResult;
using test::run_program;
using test::test_environment;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

void expect_one_line_error(const ProgramResult& result, int exit_code) {
  EXPECT_EQ(result.exit_code, exit_code) << result.err;
  EXPECT_THAT(result.err, StartsWith("ddro-train: error: "));
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  EXPECT_EQ(result.out, "");
}

TEST(CommandLine, HelpIsEverywhere) {
  const std::vector<std::vector<std::string>> commands = {{},
                                                          {"config"},
                                                          {"loss"},
                                                          {"tokenize"},
                                                          {"inspect"},
                                                          {"inspect", "checkpoint"},
                                                          {"inspect", "data"},
                                                          {"inspect", "model"}};
  for (std::vector<std::string> command : commands) {
    command.push_back("--help");
    const ProgramResult result = ddro_train(command);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out, HasSubstr("Usage: ddro-train"));
    EXPECT_EQ(result.err, "");
  }
  const std::string help = ddro_train({"--help"}).out;
  for (const char* name : {"config", "loss", "tokenize", "inspect"}) EXPECT_THAT(help, HasSubstr(name));
}

TEST(CommandLine, VersionNamesWhatTheProgramIsMadeOf) {
  const ProgramResult result = ddro_train({"--version"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, AllOf(StartsWith("ddro-train 0."), HasSubstr("(commit "),
                                HasSubstr("LibTorch 2.11"), HasSubstr("CUDA 13.")));
}

TEST(CommandLine, UsageErrorsAreOneLine) {
  expect_one_line_error(ddro_train({}), 2);
  expect_one_line_error(ddro_train({"generate"}), 2);
  expect_one_line_error(ddro_train({"inspect"}), 2);
  expect_one_line_error(ddro_train({"loss"}), 2);
  expect_one_line_error(ddro_train({"loss", "--date", "x"}), 2);
  expect_one_line_error(ddro_train({"config", "line\nbreak\x1b[31m"}), 2);
  expect_one_line_error(ddro_train({"tokenize", "--model", "x", "--generation-prompt"}), 2);
  EXPECT_THAT(ddro_train({"loss"}).err, HasSubstr("--data is required"));
}

TEST(CommandLine, OptionsThatRepeatLeaveThePositionalAlone) {
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{"train", "--set", "train.seed=1", "--allow-change", "data"},
        {"train", "--set", "train.seed=1", "--set", "train.max_steps=2"},
        {"eval", "--set", "train.seed=1"}}) {
    std::vector<std::string> arguments = options;
    arguments.push_back("/nonexistent/run.yaml");
    const ProgramResult result = ddro_train(arguments);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, HasSubstr("/nonexistent/run.yaml"));
  }
}

TEST(CommandLine, ConfigPrintsTheShippedDefaults) {
  const ProgramResult result = ddro_train({"config"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, read_file(test_environment("DDRO_SOURCE_DIR") + "/configs/default.yaml"));
}

TEST(CommandLine, AReaderThatHasGoneIsNoError) {
  const ProgramResult result = run_program(
      {"bash", "-c", "\"$0\" config | true; echo ${PIPESTATUS[0]}", test_environment("DDRO_TRAIN")});
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out, ::testing::AnyOf("141\n", "0\n"));  // 0: written before the reader went
}

TEST(CommandLine, AFullDiskBehindStdoutIsReported) {
  const ProgramResult result =
      run_program({"bash", "-c", "\"$0\" config > /dev/full", test_environment("DDRO_TRAIN")});
  EXPECT_EQ(result.exit_code, 78);
  EXPECT_THAT(result.err, HasSubstr("[stdout] cannot be written: No space left on device"));
}

}  // namespace
}  // namespace ddro
