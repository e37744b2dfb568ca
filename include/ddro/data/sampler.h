// Which examples make up which optimizer step. A pure function of (seed, epoch, dataset): its state is a few integers.
#pragma once

#include <cstdint>
#include <vector>

#include "ddro/data/dataset.h"

namespace ddro::data {

// Place in the sample order. `step_in_epoch` steps of `epoch` are done.
struct SamplerState {
  std::int64_t epoch = 0;
  std::int64_t step_in_epoch = 0;
};

// Shuffles each class apart and spreads both over the steps of an epoch by largest remainder, so that every step holds
// the classes at the data's ratio (pairs: one class of examples) and each example occurs once an epoch.
class StratifiedSampler {
 public:
  // `batch_size`: examples a step; the last step of an epoch may be smaller.
  StratifiedSampler(const Dataset& dataset, std::int64_t batch_size, std::uint64_t seed);

  std::int64_t steps_per_epoch() const { return steps_per_epoch_; }
  // Steps of an epoch that hold one class only (0 for pairs).
  std::int64_t one_class_steps() const;

  // Indices into dataset.examples of the step at `state`, in a shuffled order.
  std::vector<std::int64_t> step(const SamplerState& state) const;
  // The state after one more step.
  SamplerState next(SamplerState state) const;

 private:
  std::vector<std::vector<std::int64_t>> strata_;
  std::int64_t batch_size_ = 1;
  std::int64_t steps_per_epoch_ = 0;
  std::uint64_t seed_ = 0;
};

}  // namespace ddro::data
