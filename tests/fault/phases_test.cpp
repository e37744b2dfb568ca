// A signal in each phase of a run ends it in order, a second one at once; the next start goes on as if
// nothing had been.
#include <csignal>
#include <cstring>
#include <regex>
#include <tuple>

#include "fault/outcome.h"

namespace ddro::test {
namespace {

// Sends the signal, and once it is caught again: the phase may have come to its own end meanwhile.
void signal_twice(const TinyRun& run, BackgroundProgram& program, int number) {
  program.send(number);
  program.send(SIGCONT);
  ASSERT_TRUE(program.wait_until_unhandled(number, 60));
  program.send(number);
  const ExitStatus status = program.wait(60);
  EXPECT_TRUE(status.signal == number || status.code == 75 || status.code == 0) << program.output();
  ASSERT_EQ(run.run(), 0) << run.log_text();
  expect_as_undisturbed(run, "a second signal");
}

// Where a run is halted: in the rows, with all loaded, in the reference's cache, in samples, in a save, in
// the export.
constexpr const char* kPhases[] = {"rows.block:1",      "train.loaded:1",    "reference_cache.append:2",
                                   "samples.written:2", "checkpoint.file:9", "export_before_compare:1"};

std::string name_of(const std::string& phase) {
  return std::regex_replace(phase, std::regex("[^a-z0-9]"), "_");
}

class FirstSignalIn : public ::testing::TestWithParam<std::tuple<const char*, int>> {};

// At the end of the export there is nothing left to stop.
TEST_P(FirstSignalIn, LosesNothing) {
  const auto [phase, number] = GetParam();
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), short_run());
  BackgroundProgram program(run.arguments(), run.log().string(),
                            {"DDRO_FAILPOINT=" + std::string(phase) + ":stop"});
  ASSERT_TRUE(program.wait_for_halt(60)) << program.output();
  program.send(number);
  program.send(SIGCONT);
  const int code = program.wait(60).code;
  EXPECT_TRUE(code == 75 || (code == 0 && std::string(phase).starts_with("export"))) << program.output();
  ASSERT_EQ(run.run(), 0) << run.log_text();
  expect_as_undisturbed(run, "a signal");
}

INSTANTIATE_TEST_SUITE_P(Phases, FirstSignalIn,
                         ::testing::Combine(::testing::ValuesIn(kPhases), ::testing::Values(SIGHUP, SIGUSR1)),
                         [](const auto& phase) {
                           return name_of(std::get<0>(phase.param)) + "_" +
                                  sigabbrev_np(std::get<1>(phase.param));
                         });

class SecondSignalIn : public ::testing::TestWithParam<const char*> {};

TEST_P(SecondSignalIn, LosesNothing) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), short_run());
  BackgroundProgram program(run.arguments(), run.log().string(),
                            {"DDRO_FAILPOINT=" + std::string(GetParam()) + ":stop"});
  ASSERT_TRUE(program.wait_for_halt(60)) << program.output();
  signal_twice(run, program, SIGTERM);
}

INSTANTIATE_TEST_SUITE_P(Phases, SecondSignalIn, ::testing::ValuesIn(kPhases),
                         [](const auto& phase) { return name_of(phase.param); });

TEST(SecondSignalInAn, EvaluationLosesNothing) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), short_run());
  BackgroundProgram program(run.arguments(), run.log().string());
  // Opened when the run is ready; what follows is the evaluation before the first step.
  ASSERT_TRUE(program.wait_for_file(run.output_dir() / "metrics.jsonl", 60)) << program.output();
  signal_twice(run, program, SIGTERM);
}

}  // namespace
}  // namespace ddro::test
