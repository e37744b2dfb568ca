// Restarts of a Slurm job that lead nowhere.
#pragma once

#include <filesystem>

#include "ddro/run/loaded_run.h"

namespace ddro::run {

// Whether Slurm has put this job back into its queue before (SLURM_RESTART_COUNT).
bool is_restart();

// Before anything else of a start, which may never come to look at what there is: its ranks do not meet, it
// is stopped or killed while it loads. Error(kSave) when three restarts in a row have not; where another
// process has the folder, Error(kInterrupted) of a restart, else Error(kInput). Of the first rank; without a
// job (SLURM_JOB_ID) nothing is done, and where there is no folder yet the first start of one makes none.
void begin_start(const std::filesystem::path& output_dir);

// Notes in restarts.json what the start of a job finds: checkpoints, and the reference's log-probabilities.
// Error(kSave) when three restarts in a row have led to nothing more, those counted that did not come so far.
// The caller holds the run's lock; without a job nothing is done.
void check_restart(const LoadedRun& run);

}  // namespace ddro::run
