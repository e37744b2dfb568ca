// The reference log-probabilities of a run: a resident model, or a cache on disk that is filled first.
#pragma once

#include <memory>
#include <string>

#include "ddro/run/loaded_run.h"
#include "run/stop_flag.h"

namespace ddro::run {

// For training: gives every set that is read its RunSet::reference; with a cache, of the training set the
// rows of the run's steps. What a cache has is verified against the reference, what it lacks is computed and
// written (another process that writes the file is waited for), and the reference's memory is given back.
// Returns the resident model, null when nothing is live; the sets' references use it. Error as
// verify_reference_cache and fill_reference_cache; Error(kInterrupted) when `stop` asked for it.
std::unique_ptr<models::CausalLm> prepare_reference(LoadedRun& run, const StopFlag& stop);

// For an evaluation of the evaluation sets alone: the run's cache where it has every row, verified, else the
// reference itself. Nothing is written.
std::unique_ptr<models::CausalLm> prepare_evaluation_reference(LoadedRun& run);

// Bytes of the run's cache on disk, complete or not; 0 without one.
std::uintmax_t cached_reference_bytes(const LoadedRun& run);

// A line for the plan of a run: what its cache has and lacks; empty without a cache.
std::string describe_reference_cache(const LoadedRun& run);

}  // namespace ddro::run
