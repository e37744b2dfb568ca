// A second signal in each phase of a run ends it at once, and the next start goes on as if nothing had been.
#include <csignal>
#include <regex>

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

class SecondSignalIn : public ::testing::TestWithParam<const char*> {};

TEST_P(SecondSignalIn, LosesNothing) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), short_run());
  BackgroundProgram program(run.arguments(), run.log().string(),
                            {"DDRO_FAILPOINT=" + std::string(GetParam()) + ":stop"});
  ASSERT_TRUE(program.wait_for_halt(60)) << program.output();
  signal_twice(run, program, SIGTERM);
}

INSTANTIATE_TEST_SUITE_P(Phases, SecondSignalIn,
                         ::testing::Values("train.loaded:1", "reference_cache.append:2", "samples.written:2",
                                           "checkpoint.file:9", "export_before_compare:1"),
                         [](const auto& phase) {
                           return std::regex_replace(std::string(phase.param), std::regex("[^a-z0-9]"), "_");
                         });

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
