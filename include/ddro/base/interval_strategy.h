// When a run does something that it does now and then: evaluating, saving. Hugging Face's name.
#pragma once

#include "ddro/base/enum_names.h"

namespace ddro {

enum class IntervalStrategy { kNo, kSteps, kEpoch };

template <>
struct EnumNames<IntervalStrategy> {
  using E = IntervalStrategy;
  static constexpr std::array<EnumName<E>, 3> kNames = {
      {{"no", E::kNo}, {"steps", E::kSteps}, {"epoch", E::kEpoch}}};
};

}  // namespace ddro
