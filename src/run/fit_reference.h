// reference.fit: before the run, its starting weights are trained to be the mixture of the rows of both
// classes. That is a run of its own, with the loss mixture_nll, in <train.output_dir>/reference; the run then
// starts from its model, which is the frozen reference too.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "ddro/run/loaded_run.h"

namespace ddro::run {

// Whether a run has such a fit: it is asked for, and the loss reads a reference.
bool fits_reference(const config::RunConfig& config);

// And that has not ended.
bool awaits_fit(const LoadedRun& run);

// The configuration of the fit: the run's but for loss, length, learning rate, what ends it early and what it
// leaves. Error(kInput) for an adapter that the run would go on from.
config::RunConfig fit_config(const config::RunConfig& config);

// The model of the fit, once it has ended: that of the best evaluation, or without evaluations the last.
std::optional<std::filesystem::path> fitted_model(const config::RunConfig& config);

// Of a fit that has not ended: Error(kInput) for a run that has begun all the same, without it.
void check_fit_comes_first(const config::RunConfig& config);

// A line for the plan of a run; empty where no fit is to come.
std::string describe_fit(const LoadedRun& run);

}  // namespace ddro::run
