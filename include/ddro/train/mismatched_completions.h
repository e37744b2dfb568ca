// The completions behind kto's reference point: completions scored under prompts that are not theirs.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "ddro/data/dataset.h"
#include "ddro/data/packed_batch.h"
#include "ddro/dist/communicator.h"
#include "ddro/models/causal_lm.h"
#include "ddro/train/log_probs.h"

namespace ddro::train {

class MismatchedCompletions {
 public:
  // Of `examples` of `dataset` (see data::mismatched_examples), cut at the model's positions.
  MismatchedCompletions(const data::Dataset& dataset, std::span<const std::int64_t> examples,
                        const models::ModelSpec& model, const data::PackOptions& options);

  // losses::kl_estimate of the completions, or nullopt when `stop` became true between micro-batches. No
  // gradient. The reference's log-probabilities are computed by the first call, for which it is live, and
  // kept.
  std::optional<double> kl(const models::CausalLm& policy, const LogProbs& reference,
                           const std::function<bool()>& stop,
                           const dist::Communicator& ranks = dist::alone());

 private:
  data::StepPlan plan_;
  std::optional<std::vector<double>> reference_logp_;  // by step_index; none until computed
};

}  // namespace ddro::train
