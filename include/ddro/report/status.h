// Where a run is, while it goes on or after it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ddro/base/enum_names.h"
#include "ddro/base/heartbeat.h"
#include "ddro/base/json.h"

namespace ddro::report {

enum class RunState {
  kRunning,   // a process holds the folder, or its heartbeat on another host is fresh
  kFinished,  // final/ is there
  kStopped,   // it was ended, and goes on when the same command is given again
  kDead,      // so it does, but its process was killed
  kUnknown,   // it ran on another host, and its heartbeat is neither fresh nor old
};

struct RunStatus {
  std::string name;
  RunState state = RunState::kStopped;
  std::string holder;             // of a running one: process, host and time of its start
  std::optional<Beat> beat;       // the last one of a run that has not ended by itself
  double seconds_since_beat = 0;  // by the clock of this host; below 0 where that of its host is ahead
  std::int64_t step = 0;
  std::optional<std::int64_t> total_steps;
  std::optional<std::int64_t> starts;
  std::optional<double> step_seconds;  // median of the last steps that were logged
  std::optional<double> tokens_per_second;
  std::optional<double> seconds_left;  // of the steps alone
  std::optional<double> seconds_since_log;
  std::optional<std::int64_t> newest_checkpoint;  // its step
  std::uint64_t folder_bytes = 0;
  std::uint64_t free_bytes = 0;  // of its disk, for this user
  // Of each set that was evaluated: name, step, loss.
  struct Evaluated {
    std::string set;
    std::int64_t step = 0;
    double loss = 0;
  };
  std::vector<Evaluated> evaluated;
  std::vector<std::string> remarks;  // what the run's owner should know

  Json to_json() const;
  std::string describe() const;  // some lines, without a newline at the end
};

// Reads a folder that is some run's train.output_dir; changes nothing. A run has a log from its first step
// on; before that it may still compute reference values, or fit its reference in a run of its own, whose
// status this then is. Error(kInput) as read_run, for a folder that is no
// run's.
RunStatus read_status(const std::filesystem::path& folder);

}  // namespace ddro::report

namespace ddro {

template <>
struct EnumNames<report::RunState> {
  using E = report::RunState;
  static constexpr std::array<EnumName<E>, 5> kNames = {{{"running", E::kRunning},
                                                         {"finished", E::kFinished},
                                                         {"stopped", E::kStopped},
                                                         {"dead", E::kDead},
                                                         {"unknown", E::kUnknown}}};
};

}  // namespace ddro
