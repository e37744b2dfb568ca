// Rows of log-probabilities, as `ddro-train loss` reads them.
#pragma once

#include <string>
#include <vector>

#include "ddro/losses/objective.h"

namespace ddro::cli {

struct LogProbRows {
  std::vector<losses::ScoredCompletion> completions;
  std::vector<losses::ScoredCompletion> mismatched;  // empty unless they are needed
};

// Reads JSON lines: {chosen_logp, rejected_logp, ref_chosen_logp, ref_rejected_logp} or {logp, ref_logp,
// label}; optional num_tokens (of the completion; of a pair's completions also chosen_num_tokens and
// rejected_num_tokens) and weight. The ref_ fields may be absent unless `needs_reference`; kl_logp and
// ref_kl_logp, of another row's completion under this row's prompt, are read if `needs_mismatched`. A pair
// becomes two completions side by side, the chosen one first. Other fields are ignored, blank lines are
// skipped. Error(kInput) begins with file:line.
LogProbRows read_log_prob_rows(const std::string& path, bool needs_reference, bool needs_mismatched);

}  // namespace ddro::cli
