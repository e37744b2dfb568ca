// Restarts of a Slurm job that lead nowhere.
#pragma once

#include <filesystem>

#include "ddro/run/loaded_run.h"

namespace ddro::run {

// Whether Slurm has put this job back into its queue before (SLURM_RESTART_COUNT).
bool is_restart();

// Notes in restarts.json what the start of a job finds: checkpoints, and the reference's log-probabilities.
// Error(kSave) when three restarts in a row have led to nothing more. The caller holds the run's lock;
// without a job (SLURM_JOB_ID) nothing is done.
void check_restart(const LoadedRun& run);

// The same of a start that was stopped before it could look: it counts as one that found what the start
// before did. Takes the run's lock; Error(kInterrupted) where another process has it.
void check_interrupted_start(const std::filesystem::path& output_dir);

}  // namespace ddro::run
