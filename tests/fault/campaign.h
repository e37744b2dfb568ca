// Runs that are killed again and again, and come to the end of one that was not.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "ddro/base/hash.h"
#include "e2e/failpoints.h"
#include "e2e/tiny_run.h"
#include "support/temporary_folder.h"

namespace ddro::test {

// The largest step whose checkpoint the log reports as saved; 0: none.
inline int reported_step(const std::string& log) {
  int step = 0;
  for (size_t at = log.find("saved "); at != std::string::npos; at = log.find("saved ", at + 1)) {
    const size_t name = log.find("step_", at);
    if (name != std::string::npos && name < log.find('\n', at)) step = std::stoi(log.substr(name + 5, 6));
  }
  return step;
}

// The step that a start went on from; 0: none.
inline int resumed_step(const std::string& log) {
  const size_t at = log.find("after step ", log.find("resuming from "));
  return at == std::string::npos ? 0 : std::stoi(log.substr(at + 11));
}

// How a start is to end.
struct Kill {
  std::string failpoint;   // "name:visit", or at a moment:
  bool from_save = false;  // counted from its first checkpoint, else from its beginning
  double delay_s = 0;
};

// What is done to a run's folder after a kill, and the environment that it needs for that.
struct Surroundings {
  std::function<std::vector<std::string>(const TinyRun&)> environment = [](const TinyRun&) {
    return std::vector<std::string>();
  };
  std::function<void(const TinyRun&)> after_end = [](const TinyRun&) {};
};

class Campaign {
 public:
  // `settings` of every run; there is one that nothing disturbs for each of the `variants`, further settings.
  Campaign(std::vector<std::string> settings, std::vector<std::string> variants, unsigned seed)
      : settings_(std::move(settings)), variants_(std::move(variants)), random_(seed) {}

  // Until `kills` starts have been killed and a run has come to its end.
  void run(int kills, const Surroundings& surroundings = {}) {
    while (kills_ < kills || finished_ == 0) {
      const std::string& variant = variants_[static_cast<size_t>(finished_) % variants_.size()];
      ASSERT_NO_FATAL_FAILURE(run_to_its_end(variant, kills, surroundings));
    }
  }

  int resumed() const { return resumed_; }
  std::string score() const {
    int at_failpoints = 0;
    for (const auto& [name, times] : at_failpoints_) at_failpoints += times;
    return std::to_string(kills_) + " kills (" + std::to_string(at_failpoints) + " at " +
           std::to_string(at_failpoints_.size()) + " failpoints), " + std::to_string(resumed_) +
           " resumes, " + std::to_string(finished_) + " runs finished";
  }

 private:
  struct Straight {
    TemporaryFolder folder;
    std::string final_hash, metrics;
    std::vector<Json> samples;
  };

  std::vector<std::string> settings_of(const std::string& variant) const {
    std::vector<std::string> all = settings_;
    all.push_back(variant);
    return all;
  }

  const Straight& straight(const std::string& variant) {
    const auto [place, is_new] = straights_.try_emplace(variant);
    Straight& result = place->second;
    if (!is_new) return result;
    const TinyRun run(result.folder.path(), settings_of(variant));
    if (run.run() != 0) throw std::runtime_error("the undisturbed run failed: " + run.log_text());
    result.final_hash = hash_file(run.output_dir() / "final/model.safetensors");
    result.metrics = lasting_metrics(run);
    result.samples = samples_of(run);
    return result;
  }

  Kill choose() {
    static const std::vector<std::string> points = [] {
      const std::set<std::string> names = named_failpoints();
      return std::vector<std::string>(names.begin(), names.end());
    }();
    const auto uniform = [&](double from, double to) {
      return std::uniform_real_distribution<>(from, to)(random_);
    };
    if (starts_ % 3 == 0) return {.failpoint = {}, .from_save = false, .delay_s = uniform(0.1, 1.2)};
    if (starts_ % 3 == 1) return {.failpoint = {}, .from_save = true, .delay_s = uniform(0, 0.3)};
    const std::string& name = points[next_point_++ % points.size()];
    // Of a file there are ten times as many visits as of the rest of a checkpoint.
    const int visits = name == "checkpoint.file" ? 40 : 4;
    return {.failpoint = name + ":" + std::to_string(1 + static_cast<int>(uniform(0, visits)))};
  }

  ExitStatus start(const TinyRun& run, const Kill& kill, std::vector<std::string> environment) {
    if (!kill.failpoint.empty()) environment.push_back("DDRO_FAILPOINT=" + kill.failpoint);
    BackgroundProgram program(run.arguments(), run.log().string(), environment);
    if (!kill.failpoint.empty()) return program.wait(kLongEnough);
    if (kill.from_save) program.wait_for_output("saved ", 10);
    ExitStatus status = program.wait(kill.delay_s);
    if (!status.timed_out) return status;
    program.send(SIGKILL);
    return program.wait(kLongEnough);  // it may have come to its end before
  }

  void run_to_its_end(const std::string& variant, int kills, const Surroundings& surroundings) {
    const Straight& expected = straight(variant);
    const TemporaryFolder folder;
    const TinyRun run(folder.path(), settings_of(variant));
    int reported = 0;
    for (bool done = false; !done;) {
      const bool last = kills_ >= kills;
      const Kill kill = last ? Kill{.failpoint = "none"} : choose();
      const ExitStatus status = start(run, kill, surroundings.environment(run));
      const std::string log = run.log_text();
      ++starts_;
      done = status.code == 0;
      ASSERT_TRUE(done || status.signal == SIGKILL) << log;
      const bool goes_on = log.find("resuming from ") != std::string::npos;
      EXPECT_TRUE(goes_on ? resumed_step(log) >= reported
                          : reported == 0 || log.find(" step ") == std::string::npos)
          << "the reported checkpoint of step " << reported << " was lost: " << log;
      if (!done) note_kill(kill);
      resumed_ += goes_on;
      reported = std::max(reported, reported_step(log));
      surroundings.after_end(run);
    }
    EXPECT_EQ(hash_file(run.output_dir() / "final/model.safetensors"), expected.final_hash);
    EXPECT_EQ(lasting_metrics(run), expected.metrics);
    EXPECT_EQ(samples_of(run), expected.samples);
    ++finished_;
  }

  void note_kill(const Kill& kill) {
    ++kills_;
    if (!kill.failpoint.empty()) ++at_failpoints_[kill.failpoint.substr(0, kill.failpoint.find(':'))];
    if (kills_ % 25 == 0) std::fprintf(stderr, "%s\n", score().c_str());
  }

  static constexpr double kLongEnough = 1200;  // for a machine that does other work first

  std::vector<std::string> settings_;
  std::vector<std::string> variants_;
  std::mt19937 random_;
  std::map<std::string, Straight> straights_;
  std::map<std::string, int> at_failpoints_;
  size_t next_point_ = 0;
  int starts_ = 0, kills_ = 0, resumed_ = 0, finished_ = 0;
};

// Long enough that most kills meet a step, an evaluation or a checkpoint being written.
inline std::vector<std::string> long_run() {
  std::vector<std::string> settings = sampling();
  settings.insert(settings.end(), {"train.num_train_epochs=40", "checkpoint.save_steps=2"});
  return settings;
}

inline const std::vector<std::string> kBothWaysToSave = {"checkpoint.async_save=true",
                                                         "checkpoint.async_save=false"};

// What a long test is told by the variable `name`, or by default `value`: how often it repeats itself, a
// seed.
inline int told(const char* name, int value) {
  const char* const given = std::getenv(name);
  return given == nullptr ? value : std::atoi(given);
}

}  // namespace ddro::test
