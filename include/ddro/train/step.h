// Loss and gradients of one optimizer step, however it was cut into micro-batches.
#pragma once

#include <vector>

#include "ddro/data/packed_batch.h"
#include "ddro/losses/objective.h"
#include "ddro/models/causal_lm.h"
#include "ddro/train/log_probs.h"
#include "ddro/train/parameters.h"

namespace ddro::train {

struct StepResult {
  double loss = 0;
  std::vector<losses::LossRow> rows;  // by step_row
};

// Adds the step's gradients to the parameters' accumulators (zeroed by the caller). `reference` may be null
// when the objective reads none. `counts` are of the whole step. One pass over the vocabulary where a row's
// gradient needs no more than the rows of its chunk; otherwise log-probabilities of all micro-batches first.
// losses::PoleError, its row a step_row, for the raw loss past its pole; the accumulators then hold part of
// the step.
StepResult compute_step(const models::CausalLm& policy, const LogProbs* reference, const data::StepPlan& plan,
                        const BatchCounts& counts, const losses::Objective& objective,
                        Parameters& parameters);

}  // namespace ddro::train
