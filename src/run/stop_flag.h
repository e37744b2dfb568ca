// Signals that ask a run to stop, and the job's time limit.
#pragma once

#include <string>

#include "ddro/dist/communicator.h"

namespace ddro::run {

// While one exists, SIGINT, SIGTERM, SIGUSR1 and SIGHUP (unless it is ignored, as under nohup) only set a
// flag; the second such signal ends the process at once, as if it had never been caught. One at a time in a
// process.
class StopFlag {
 public:
  // `save_before_timeout_s`: seconds before the job's end (SLURM_JOB_END_TIME, seconds since 1970) from which
  // on requested() is true. Without that variable there is no limit.
  explicit StopFlag(double save_before_timeout_s);
  ~StopFlag();
  StopFlag(const StopFlag&) = delete;
  StopFlag& operator=(const StopFlag&) = delete;

  // Of this process, or of any rank where that is known: see agree().
  bool requested() const;
  // Whether it is requested of any of `ranks`, which call this alike; from then on requested() is true in
  // each.
  bool agree(const dist::Communicator& ranks) const;
  // Why, for the log: "SIGTERM", "120 s before the job's time limit".
  std::string reason() const;
  // Error(kInterrupted) when a stop is requested of any rank; for the time before the first step, when
  // nothing can be lost.
  void leave_if_requested(const dist::Communicator& ranks) const;
  [[noreturn]] void leave_before_first_step() const;

 private:
  std::string own_reason() const;

  double stop_at_ = 0;  // seconds since 1970; 0: no limit
  double margin_s_ = 0;
  mutable std::string agreed_;  // the reason, once the ranks know of one
};

}  // namespace ddro::run
