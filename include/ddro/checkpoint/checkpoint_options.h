// The `checkpoint` section of a run's configuration.
#pragma once

#include <cstdint>

#include "ddro/base/interval_strategy.h"

namespace ddro::checkpoint {

struct CheckpointOptions {
  // kEpoch: at the end of each; kNo: when the run is stopped, and at its end, where all save.
  IntervalStrategy save_strategy = IntervalStrategy::kSteps;
  std::int64_t save_steps = 100;       // kSteps: optimizer steps between checkpoints
  std::int64_t save_total_limit = 3;   // newest ones kept
  double save_before_timeout_s = 120;  // save and leave this long before the job's time limit
  bool async_save = true;              // written from a copy while the next steps are computed
  bool allow_world_writable = false;   // go on from a checkpoint that every user could have changed

  void validate() const;  // Error(kInput) naming the dotted key
};

}  // namespace ddro::checkpoint
