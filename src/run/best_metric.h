// Which metric eval.metric_for_best_model names.
#pragma once

#include <optional>

#include "ddro/run/loaded_run.h"

namespace ddro::run {

// As Hugging Face's Trainer reads the name: "eval_" may be left out. With one evaluation set its name may be,
// too. Error(kInput) that lists what there is for any other name.
std::optional<BestMetric> find_best_metric(const LoadedRun& run);

}  // namespace ddro::run
