#include "ddro/data/plan_ahead.h"

#include <utility>

namespace ddro::data {

PlanAhead::PlanAhead(const Dataset& dataset, StratifiedSampler sampler, const PackOptions& options)
    : dataset_(&dataset), sampler_(std::move(sampler)), options_(options) {}

StepPlan PlanAhead::plan(const SamplerState& place) const {
  return plan_step(*dataset_, sampler_.step(place), options_);
}

StepPlan PlanAhead::take(const SamplerState& place) {
  const bool ready = next_.valid() && next_place_ == place;
  // The sampler keeps an epoch's order, which one thread at a time may use.
  if (!ready && next_.valid()) next_.wait();
  StepPlan result = ready ? next_.get() : plan(place);
  next_place_ = sampler_.next(place);
  // Deferred where no thread can be had.
  next_ = std::async(std::launch::async | std::launch::deferred, &PlanAhead::plan, this, next_place_);
  return result;
}

}  // namespace ddro::data
