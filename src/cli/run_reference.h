// The reference log-probabilities of a run: a resident model, or a cache on disk that is filled first.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/run_plan.h"
#include "ddro/train/reference.h"
#include "ddro/train/stop_flag.h"

namespace ddro::cli {

// All null when the objective reads no reference.
struct RunReference {
  std::unique_ptr<models::CausalLm> model;  // null when nothing is live
  std::shared_ptr<const train::ReferenceLogProbs> train_set;
  std::vector<std::shared_ptr<const train::ReferenceLogProbs>> eval_sets;  // in the order of run.eval_sets
};

// For training; an evaluation set that is never evaluated has none. With a cache: what it has is verified
// against the reference, what it lacks is computed and written (another process that writes the file is
// waited for), and the reference's memory is given back. Error as train::verify_reference_cache and
// train::fill_reference_cache; Error(kInterrupted) when `stop` asked for it.
RunReference prepare_reference(const config::RunConfig& config, const LoadedRun& run,
                               const train::StopFlag& stop);

// For an evaluation, `train_set` null: the run's cache where it has every row, verified, else the reference
// itself. Nothing is written.
RunReference evaluation_reference(const config::RunConfig& config, const LoadedRun& run);

// "live" or "cached"; null when the objective reads no reference.
Json reference_source(const config::RunConfig& config, const LoadedRun& run);

// A line for the plan of a run: what its cache has and lacks; empty without a cache.
std::string describe_reference_cache(const config::RunConfig& config, const LoadedRun& run);

}  // namespace ddro::cli
