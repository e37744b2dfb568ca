// Loss and gradients of one optimizer step, however it was cut into micro-batches.
#pragma once

#include <vector>

#include "ddro/data/packed_batch.h"
#include "ddro/losses/objective.h"
#include "ddro/models/causal_lm.h"
#include "ddro/train/adamw.h"
#include "ddro/train/reference.h"

namespace ddro::train {

struct StepResult {
  double loss = 0;
  std::vector<losses::LossRow> rows;  // by step_row
};

// Fills in, by step_row, everything about a micro-batch's rows but their log-probabilities.
void fill_rows(const data::PackedBatch& batch, std::vector<losses::LossRow>& rows);

// Those of a plan that is an effective batch by itself, as losses::batch_counts gives for its rows.
losses::BatchCounts batch_counts(const data::StepCounts& counts);

// Adds the step's gradients to `optimizer`'s accumulators (zeroed by the caller). `reference` may be null
// when the objective reads none. `counts` are of the whole step. One pass over the vocabulary where a row's
// gradient needs no more than the rows of its chunk; otherwise log-probabilities of all micro-batches first.
// losses::PoleError, its row a step_row, for the raw loss past its pole; the accumulators then hold part of
// the step.
StepResult compute_step(const models::CausalLm& policy, const ReferenceLogProbs* reference,
                        const data::StepPlan& plan, const losses::BatchCounts& counts,
                        const losses::Objective& objective, AdamW& optimizer);

}  // namespace ddro::train
