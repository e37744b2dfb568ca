// Metrics of an effective batch or evaluation set, under TRL's names and the density-ratio ones. Definitions:
// docs/metrics.md.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ddro/losses/objective.h"

namespace ddro::losses {

// Name -> value in the documented order. What is not defined for some completions (no pairs, one class, no
// reference) is absent; what is not a number is written as null.
using Metrics = std::vector<std::pair<std::string, double>>;

// loss, rewards/*, logps/*, log_ratio/*, ratio/* of `completions`, each completion counted as often as its
// weight says; kl where the objective has one. `counts` are those that `loss`, the sum of the completions'
// contributions, was computed with. Where the objective reads no reference there are no log_ratio/* and
// ratio/*, where it compares no completions no rewards/*.
Metrics preference_metrics(std::span<const ScoredCompletion> completions, const Objective& objective,
                           const BatchCounts& counts, double loss);

}  // namespace ddro::losses
