// Place of a run: everything that is neither weights nor moments.
#pragma once

#include <cstdint>

#include "ddro/base/interval_strategy.h"
#include "ddro/base/json.h"
#include "ddro/data/sampler.h"
#include "ddro/train/nonfinite_guard.h"
#include "ddro/train/spike_guard.h"

namespace ddro::run {

struct RunState {
  std::int64_t step = 0;  // steps done, skipped ones included
  data::SamplerState sampler;
  std::int64_t num_tokens = 0;
  train::NonFiniteGuard guard;
  train::SpikeGuard spikes;

  // Whether these steps are done: `every` more, or an epoch.
  bool is_at(IntervalStrategy strategy, std::int64_t every) const;

  // As trainer.json of a checkpoint has it.
  Json to_json() const;
  static RunState from_json(const Json& json);
};

}  // namespace ddro::run
