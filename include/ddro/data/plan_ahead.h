// The micro-batches of a run's steps, those of the next one prepared while the present one is computed.
#pragma once

#include <future>

#include "ddro/data/packed_batch.h"
#include "ddro/data/sampler.h"

namespace ddro::data {

class PlanAhead {
 public:
  // `dataset` outlives it.
  PlanAhead(const Dataset& dataset, StratifiedSampler sampler, const PackOptions& options);

  const StratifiedSampler& sampler() const { return sampler_; }

  // The plan of the step at `place`, waited for where it is not ready; that of the place behind it is begun
  // in a thread. Plans are a function of the place alone, whatever was asked for before.
  StepPlan take(const SamplerState& place);

 private:
  StepPlan plan(const SamplerState& place) const;

  const Dataset* dataset_;
  StratifiedSampler sampler_;
  PackOptions options_;
  SamplerState next_place_;
  std::future<StepPlan> next_;  // the last member: its thread reads the others
};

}  // namespace ddro::data
