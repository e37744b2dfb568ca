#include "ddro/train/stepper.h"

#include <cmath>

#include "ddro/base/error.h"
#include "ddro/train/mismatched_completions.h"
#include "ddro/train/schedule.h"
#include "ddro/train/step_trace.h"
#include "train/reduce_gradients.h"

namespace ddro::train {
namespace {

// file:line of the example that completion `step_index` belongs to.
std::string where_of(const data::Dataset& dataset, const data::StepPlan& plan, size_t step_index) {
  for (const data::PackedBatch& batch : plan.micro_batches) {
    for (const data::PackedCompletion& completion : batch.completions) {
      if (completion.step_index == static_cast<std::int64_t>(step_index))
        return dataset.wheres[static_cast<size_t>(completion.example)];
    }
  }
  return "";
}

}  // namespace

double share_seen(const data::SamplerState& place, std::int64_t steps_per_epoch) {
  if (place.epoch > 0) return 1;
  return static_cast<double>(place.step_in_epoch + 1) / static_cast<double>(steps_per_epoch);
}

Stepper::Stepper(const StepperParts& parts, const OptimizerOptions& options, Parameters& parameters,
                 Optimizer& optimizer)
    : parts_(parts),
      options_(options),
      parameters_(parameters),
      optimizer_(optimizer),
      rejected_weight_(parts.train_set.class_weight(data::CompletionClass::kRejected)) {}

StepReport Stepper::step(const data::StepPlan& plan, const data::SamplerState& place,
                         std::int64_t steps_done) {
  StepReport report;
  parameters_.zero_gradients();
  report.counts = counts_of(plan, place);
  GradientSums sums(parameters_);
  const bool replayed = is_replayed(steps_done);  // then of what this rank has added, before it is summed up
  report.result = compute(plan, report.counts, steps_done, replayed ? nullptr : sums.on_complete());
  if (replayed) replay(plan, report, steps_done);
  sums.finish();
  report.gradient_norm = parameters_.gradient_norm();
  report.learning_rate = learning_rate(options_, steps_done, parts_.total_steps);
  report.is_finite = std::isfinite(report.result.loss) && std::isfinite(report.gradient_norm);
  if (report.is_finite && parts_.spikes != nullptr)
    report.spike = parts_.spikes->spike(report.result.loss, report.gradient_norm);
  report.updated = report.is_finite && !(parts_.skip_spikes && !report.spike.empty());
  if (report.updated) {
    const double limit = options_.max_grad_norm;
    const double norm = report.gradient_norm;
    optimizer_.step(report.learning_rate, limit > 0 && norm > limit ? limit / (norm + 1e-6) : 1.0);
  }
  return report;
}

bool Stepper::is_replayed(std::int64_t steps_done) const {
  return parts_.replay_check_steps > 0 && (steps_done + 1) % parts_.replay_check_steps == 0;
}

// Of this rank's share; leaves the same gradients.
void Stepper::replay(const data::StepPlan& plan, const StepReport& report, std::int64_t steps_done) {
  const StepTrace before(report.result, parameters_);
  parameters_.zero_gradients();
  const StepTrace again(compute(plan, report.counts, steps_done), parameters_);
  const std::string difference = before.difference(again);
  if (difference.empty()) return;
  throw Error(ErrorKind::kInternal,
              "[train.replay_check_steps] step " + std::to_string(steps_done + 1) +
                  " computed twice is not the same: " + difference +
                  " differs; likely the machine is faulty; the last checkpoint is kept, go on from it on "
                  "another");
}

BatchCounts Stepper::counts_of(const data::StepPlan& plan, const data::SamplerState& place) const {
  BatchCounts counts = plan.counts;
  counts.rejected_seen = rejected_weight_ * share_seen(place, parts_.steps_per_epoch);
  if (parts_.objective.needs_mismatched()) {
    MismatchedCompletions mismatched(parts_.train_set, plan.examples, parts_.policy.spec(),
                                     parts_.pack_options);
    counts.kl = *mismatched.kl(
        parts_.policy, *parts_.reference, [] { return false; }, parts_.ranks);
  }
  return counts;
}

StepResult Stepper::compute(const data::StepPlan& plan, const BatchCounts& counts, std::int64_t steps_done,
                            const std::function<void(size_t)>& on_complete) {
  try {
    return compute_step(parts_.policy, parts_.reference, plan, counts, parts_.objective, parameters_,
                        parts_.router_aux_loss_coef, parts_.ranks, on_complete);
  } catch (const losses::PoleError& error) {
    throw Error(ErrorKind::kNonFinite, std::string(error.what()) + " (step " +
                                           std::to_string(steps_done + 1) + ", " +
                                           where_of(parts_.train_set, plan, error.index()) + ")");
  }
}

}  // namespace ddro::train
