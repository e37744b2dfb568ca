// Runs in several ranks that lose one again and again, and come to the end of one that lost none.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "ddro/base/error.h"
#include "ddro/base/hash.h"
#include "e2e/cut_links.h"
#include "e2e/rank_runs.h"
#include "support/temporary_folder.h"

namespace ddro::test {

class LostRanks {
 public:
  LostRanks(int num_ranks, std::vector<std::string> settings, unsigned seed)
      : num_ranks_(num_ranks),
        settings_(std::move(settings)),
        random_(seed),
        straight_(folder_.path(), settings_) {}

  // Until `losses` starts have lost a rank and a run has come to its end.
  void run(int losses) {
    ASSERT_EQ(straight_.run(ranks(num_ranks_)), 0) << straight_.log_text();
    while (lost() < losses || finished_ == 0) ASSERT_NO_FATAL_FAILURE(run_to_its_end(losses));
  }

  std::string score() const {
    return std::to_string(lost()) + " losses of one of " + std::to_string(num_ranks_) + " ranks (" +
           std::to_string(lost_[kKilled]) + " killed, " + std::to_string(lost_[kHalted]) + " halted, " +
           std::to_string(lost_[kCutOff]) + " cut off), " + std::to_string(resumed_) + " resumes, " +
           std::to_string(finished_) + " runs finished, the slowest end after " +
           printable(slowest_end_s_, "%.1f") + " s";
  }

 private:
  enum Loss { kKilled, kHalted, kCutOff, kNumLosses };

  int lost() const { return lost_[kKilled] + lost_[kHalted] + lost_[kCutOff]; }

  template <typename Number>
  Number uniform(Number from, Number to) {
    if constexpr (std::is_integral_v<Number>) {
      return std::uniform_int_distribution<Number>(from, to)(random_);
    } else {
      return std::uniform_real_distribution<Number>(from, to)(random_);
    }
  }

  // False where there is no connection to cut.
  bool lose(pid_t rank, Loss loss) {
    if (loss != kCutOff) return kill(rank, loss == kKilled ? SIGKILL : SIGSTOP) == 0;
    const bool all = uniform(0, 1) == 0;
    const size_t one = uniform<size_t>(0, 5);
    return cut_links(rank, [&](size_t i) { return all || i == one; }) > 0;
  }

  // A start that loses a rank, or comes to its end before: then it is `done`.
  void start(const TinyRun& run, bool undisturbed, bool& done) {
    BackgroundProgram program(run.arguments(ranks(num_ranks_)), run.log().string());
    const bool from_step = uniform(0, 1) == 0;
    if (from_step && !undisturbed) program.wait_for_output(" step ", kLongEnough);
    ExitStatus status = program.wait(undisturbed ? kLongEnough : uniform(0.0, from_step ? 1.0 : 4.0));
    const std::vector<pid_t> processes = children_of(program.pid());
    const auto loss = static_cast<Loss>(uniform(0, kNumLosses - 1));
    const auto victim = uniform<size_t>(0, static_cast<size_t>(num_ranks_ - 1));
    const auto begin = Clock::now();
    const bool is_lost = status.timed_out && victim < processes.size() && lose(processes[victim], loss);
    if (status.timed_out) status = program.wait(kLongEnough);
    done = status.code == 0;
    resumed_ += program.output().find("resuming from ") != std::string::npos;
    // A rank that is ready to leave may be lost without harm.
    ASSERT_TRUE(done || (is_lost && status.code == 76)) << status.code << ": " << program.output();
    for (const pid_t process : processes) EXPECT_TRUE(is_gone(process));
    if (done) return;
    slowest_end_s_ = std::max(slowest_end_s_, seconds_since(begin));
    EXPECT_LT(seconds_since(begin), kTimeOut + kGoneWithin) << program.output();
    if (++lost_[loss]; lost() % 10 == 0) std::fprintf(stderr, "%s\n", score().c_str());
  }

  void run_to_its_end(int losses) {
    const TemporaryFolder folder;
    const TinyRun run(folder.path(), settings_);
    for (bool done = false; !done;)
      ASSERT_NO_FATAL_FAILURE(start(run, /*undisturbed=*/lost() >= losses, done));
    EXPECT_EQ(hash_file(run.output_dir() / "final/model.safetensors"),
              hash_file(straight_.output_dir() / "final/model.safetensors"));
    EXPECT_EQ(lasting_metrics(run), lasting_metrics(straight_));
    ++finished_;
  }

  static constexpr double kLongEnough = 1200, kTimeOut = 10;  // s; the second as kSoon has it

  int num_ranks_;
  std::vector<std::string> settings_;
  std::mt19937 random_;
  TemporaryFolder folder_;
  TinyRun straight_;
  std::array<int, kNumLosses> lost_{};
  int resumed_ = 0, finished_ = 0;
  double slowest_end_s_ = 0;
};

}  // namespace ddro::test
