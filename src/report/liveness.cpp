#include "report/liveness.h"

namespace ddro::report {
namespace {

constexpr double kFreshSeconds = 60;
constexpr double kClockSkew = 300;

RunState by_age(double seconds) {
  if (seconds > kFreshSeconds + kClockSkew) return RunState::kDead;
  return seconds < -kFreshSeconds || seconds > kFreshSeconds ? RunState::kUnknown : RunState::kRunning;
}

}  // namespace

RunState state_of(const LifeSigns& signs) {
  if (signs.is_held) return RunState::kRunning;
  if (signs.is_finished) return RunState::kFinished;
  if (!signs.beat) return RunState::kStopped;
  return signs.beat->host == signs.host ? RunState::kDead : by_age(signs.now - signs.beat->time);
}

}  // namespace ddro::report
