// Whether a run's process is alive, by what its folder shows.
#pragma once

#include <optional>
#include <string>

#include "ddro/base/heartbeat.h"
#include "ddro/report/status.h"

namespace ddro::report {

struct LifeSigns {
  bool is_held = false;  // the folder's lock
  bool is_finished = false;
  std::optional<Beat> beat;
  std::string host;  // of who looks
  double now = 0;    // by the clock there
};

// A held lock is a process, wherever it is. Where nothing is held a heartbeat that was left is that of a
// killed process, if it ran here; on another host, whose locks may not be seen from here, its age decides.
// The clocks of two hosts are taken to differ by less than five minutes, which is what Munge, by which
// Slurm's hosts know each other, asks of them.
RunState state_of(const LifeSigns& signs);

}  // namespace ddro::report
