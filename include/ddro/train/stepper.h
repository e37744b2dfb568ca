// One optimizer step: loss, gradients, clipping, update.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "ddro/data/packed_batch.h"
#include "ddro/data/sampler.h"
#include "ddro/dist/communicator.h"
#include "ddro/losses/objective.h"
#include "ddro/models/causal_lm.h"
#include "ddro/train/log_probs.h"
#include "ddro/train/optimizer.h"
#include "ddro/train/spike_guard.h"
#include "ddro/train/step.h"
#include "ddro/train/train_options.h"

namespace ddro::train {

// Share of the training rows that have been met once the step at `place` is done; rows that an epoch repeats
// are no new samples.
double share_seen(const data::SamplerState& place, std::int64_t steps_per_epoch);

struct StepReport {
  StepResult result;
  BatchCounts counts;
  double gradient_norm = 0;
  double learning_rate = 0;
  bool is_finite = false;  // loss and norm
  std::string spike;       // what is far above the usual
  bool updated = false;    // false: the weights are untouched
};

// What steps work on; all of it outlives the stepper.
struct StepperParts {
  const models::CausalLm& policy;
  const LogProbs* reference;  // of train_set; null when the objective reads none
  const data::Dataset& train_set;
  const losses::Objective& objective;
  data::PackOptions pack_options;
  std::int64_t steps_per_epoch;
  std::int64_t total_steps;
  double router_aux_loss_coef = 0;
  std::int64_t replay_check_steps = 0;  // 0: never
  const SpikeGuard* spikes = nullptr;   // of the steps before
  bool skip_spikes = false;
  const dist::Communicator& ranks = dist::alone();  // among which steps are shared out
};

class Stepper {
 public:
  Stepper(const StepperParts& parts, const OptimizerOptions& options, Parameters& parameters,
          Optimizer& optimizer);

  // The step at `place`, before which `steps_done` were done. Error(kNonFinite) naming the data row for the
  // raw loss past its pole; Error(kInternal) when the step is one that is computed twice and differs.
  StepReport step(const data::StepPlan& plan, const data::SamplerState& place, std::int64_t steps_done);

 private:
  BatchCounts counts_of(const data::StepPlan& plan, const data::SamplerState& place) const;
  StepResult compute(const data::StepPlan& plan, const BatchCounts& counts, std::int64_t steps_done,
                     const std::function<void(size_t unit)>& on_complete = nullptr);
  bool is_replayed(std::int64_t steps_done) const;
  void replay(const data::StepPlan& plan, const StepReport& report, std::int64_t steps_done);

  StepperParts parts_;
  OptimizerOptions options_;
  Parameters& parameters_;
  Optimizer& optimizer_;
  double rejected_weight_;  // unpreferred rows of the training set
};

}  // namespace ddro::train
