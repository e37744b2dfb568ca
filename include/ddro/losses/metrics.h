// Metrics of an effective batch or evaluation set, under TRL's names and the density-ratio ones. Definitions:
// docs/metrics.md.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ddro/losses/objective.h"

namespace ddro::losses {

// Name -> value in the documented order; a value that is not defined for these rows (no pairs, one class) is
// NaN and is written as null.
using Metrics = std::vector<std::pair<std::string, double>>;

// loss, rewards/*, logps/*, log_ratio/*, ratio/* of `rows`, each row counted as often as its weight says.
// `loss` is the sum of the rows' contributions. Where the objective reads no reference all but loss and
// logps/* are NaN.
Metrics preference_metrics(std::span<const LossRow> rows, const Objective& objective, double loss);

}  // namespace ddro::losses
