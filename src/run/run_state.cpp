#include "run/run_state.h"

namespace ddro::run {

bool RunState::is_at(IntervalStrategy strategy, std::int64_t every) const {
  switch (strategy) {
    case IntervalStrategy::kNo:
      return false;
    case IntervalStrategy::kSteps:
      return step % every == 0;
    case IntervalStrategy::kEpoch:
      return sampler.step_in_epoch == 0;
  }
  return false;
}

Json RunState::to_json() const {
  return {{"step", step},
          {"epoch", sampler.epoch},
          {"step_in_epoch", sampler.step_in_epoch},
          {"num_tokens", num_tokens},
          {"non_finite", guard.state()},
          {"spikes", spikes.state()}};
}

RunState RunState::from_json(const Json& json) {
  RunState state;
  state.step = json.at("step").get<std::int64_t>();
  state.sampler.epoch = json.at("epoch").get<std::int64_t>();
  state.sampler.step_in_epoch = json.at("step_in_epoch").get<std::int64_t>();
  state.num_tokens = json.at("num_tokens").get<std::int64_t>();
  state.guard.load(json.at("non_finite"));
  if (json.contains("spikes")) state.spikes.load(json.at("spikes"));  // not in those of older versions
  return state;
}

}  // namespace ddro::run
