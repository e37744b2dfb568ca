// A model on the evaluation files of a run.
#pragma once

#include <optional>
#include <string>

#include "ddro/base/json.h"
#include "ddro/config/run_config.h"

namespace ddro::run {

// {"model": path, "eval_<set>_<metric>": ...}. `model`: a folder; by default the run's final/, else its
// newest checkpoint. Nothing is written. Error(kInput) without evaluation files or without a model.
Json evaluate_run(config::RunConfig config, const std::optional<std::string>& model);

}  // namespace ddro::run
