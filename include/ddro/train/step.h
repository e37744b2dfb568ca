// Loss and gradients of one optimizer step, however it was cut into micro-batches.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "ddro/data/packed_batch.h"
#include "ddro/dist/communicator.h"
#include "ddro/losses/objective.h"
#include "ddro/models/causal_lm.h"
#include "ddro/train/log_probs.h"
#include "ddro/train/parameters.h"

namespace ddro::train {

struct StepResult {
  double loss = 0;  // of the objective, and router_aux_loss_coef * aux_loss
  std::optional<double>
      aux_loss;  // of the routers (ddro/models/router_balance.h), where it has a coefficient
  std::vector<losses::ScoredCompletion> completions;  // by step_index
  double imbalance = 1;                               // of the ranks' shares: the largest cost over the mean
};

// Adds the step's gradients to the parameters' accumulators (zeroed by the caller). `reference` may be null
// when the objective reads none. `counts` are of the whole step. One pass over the vocabulary where a
// completion's gradient needs no more than the completions of its chunk; otherwise log-probabilities of all
// micro-batches first.
//
// `router_aux_loss_coef`: above 0 the loss that balances experts is added, over all tokens of the step, each
// as often as completions have it: as if nothing were shared or cut. With several micro-batches that takes a
// forward of each in advance.
//
// losses::PoleError, its completion a step_index, for the raw loss past its pole; the accumulators then hold
// part of the step. Each of several ranks, which call it alike, adds the gradients of its share of the
// micro-batches (balanced by cost) to its own parameters; the result is that of the whole step on all.
// `on_complete`: called in its last backward as models::ModelInput has it, and behind that with the first
// unit; by a rank without rows with that alone.
StepResult compute_step(const models::CausalLm& policy, const LogProbs* reference, const data::StepPlan& plan,
                        const BatchCounts& counts, const losses::Objective& objective, Parameters& parameters,
                        double router_aux_loss_coef = 0, const dist::Communicator& ranks = dist::alone(),
                        const std::function<void(size_t unit)>& on_complete = nullptr);

}  // namespace ddro::train
