// The life of a run, from its configuration to the exported model.
#pragma once

#include <set>
#include <string>

#include "ddro/config/run_config.h"
#include "ddro/dist/launch.h"
#include "ddro/run/loaded_run.h"

namespace ddro::run {

struct TrainRequest {
  std::string resume = "auto";            // auto, never, or a checkpoint's folder
  std::set<std::string> allowed_changes;  // of allowable_changes()
  bool dry_run = false;
  dist::Launch launch;  // this process among the ranks of the run
};

// The names that --allow-change takes.
const std::set<std::string>& allowable_changes();

// Trains, alone or as one of several ranks, or goes on where an earlier start stopped, and leaves
// <train.output_dir>/final. A finished run of the same configuration is left as it is. Returns the plan of a
// dry run, which writes nothing; otherwise an empty text. Error(kInterrupted) after a checkpoint when a
// signal or the job's time limit asked for it, Error(kInput) for a change of configuration that the run
// cannot go on with, Error(kNonFinite) when the non-finite policy gives up, Error(kSave) when the run's
// folder cannot be written, Error(kLost) when a rank is gone or silent. In a rank where another has said what
// is wrong, dist::EndedByOther.
std::string train_run(config::RunConfig config, const TrainRequest& request);

}  // namespace ddro::run
