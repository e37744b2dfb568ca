// Which examples make up which optimizer step. A pure function of (seed, epoch, dataset): its state is a few
// integers.
#pragma once

#include <cstdint>
#include <vector>

#include "ddro/data/dataset.h"

namespace ddro::data {

// Place in the sample order. `step_in_epoch` steps of `epoch` are done.
struct SamplerState {
  std::int64_t epoch = 0;
  std::int64_t step_in_epoch = 0;

  bool operator==(const SamplerState&) const = default;
};

// Shuffles each class apart and spreads both over the steps of an epoch by largest remainder, so that every
// step holds the classes at the data's ratio to within one row (pairs: one class of examples) and each
// example occurs once an epoch. Of a mixture, each epoch has all examples of a part as often as its weight is
// whole, and draws anew, without repeating one, what goes beyond that; the classes of a part are drawn from
// apart. A row's weight plays no part: a weighted row is one example. Not for use by
// several threads at once: step() keeps the shuffled order of the epoch it was last asked for.
class StratifiedSampler {
 public:
  // `batch_size` >= 1: examples a step; the last step of an epoch may be smaller. `dataset` has examples.
  StratifiedSampler(const Dataset& dataset, std::int64_t batch_size, std::uint64_t seed);

  std::int64_t num_examples() const { return num_examples_; }  // of an epoch
  std::int64_t steps_per_epoch() const { return steps_per_epoch_; }
  // Steps of an epoch that hold one class only (0 for pairs).
  std::int64_t one_class_steps() const;

  // Indices into dataset.examples of the step at `state`, in a shuffled order.
  std::vector<std::int64_t> step(const SamplerState& state) const;
  // The state after one more step.
  SamplerState next(SamplerState state) const;

 private:
  using Strata = std::vector<std::vector<std::int64_t>>;
  // The examples of one class in one part of the set.
  struct Share {
    std::vector<std::int64_t> examples;
    std::int64_t num_draws = 0;
  };

  // How many of a stratum's examples the steps before `step` hold.
  std::int64_t stratum_offset(size_t stratum, std::int64_t step) const;
  std::vector<std::int64_t> drawn(size_t stratum, std::int64_t epoch) const;
  const Strata& shuffled(std::int64_t epoch) const;

  // Of each stratum: one for pairs; chosen and rejected rows, where there are any, otherwise.
  std::vector<std::vector<Share>> strata_;
  std::vector<std::int64_t> sizes_;  // of the strata in an epoch
  bool pairs_ = true;
  std::int64_t num_examples_ = 0;  // of an epoch
  std::int64_t batch_size_ = 1;
  std::int64_t steps_per_epoch_ = 0;
  std::uint64_t seed_ = 0;
  mutable std::int64_t shuffled_epoch_ = -1;
  mutable Strata shuffled_;
};

}  // namespace ddro::data
