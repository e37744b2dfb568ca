// Rows of log-probabilities, as `ddro-train loss` reads them.
#pragma once

#include <string>
#include <vector>

#include "ddro/losses/objective.h"

namespace ddro::cli {

// Reads JSON lines: {chosen_logp, rejected_logp, ref_chosen_logp, ref_rejected_logp} or {logp, ref_logp,
// label}; optional num_tokens (of the completion; of a pair's chosen one) and weight. The ref_ fields may be
// absent unless `needs_reference`. A pair becomes two rows side by side, the chosen one first. Other fields
// are ignored, blank lines are skipped. Error(kInput) begins with file:line.
std::vector<losses::LossRow> read_log_prob_rows(const std::string& path, bool needs_reference);

}  // namespace ddro::cli
