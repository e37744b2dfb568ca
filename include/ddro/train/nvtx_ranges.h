// NVTX ranges: what the program does, as NVIDIA's tools show it beside the kernels (nsys, ncu).
#pragma once

#include "ddro/base/enum_names.h"

namespace ddro::train {

// Phases: those of a step (forward, head, backward, update ...). Operations: also each of LibTorch's.
enum class NvtxRanges { kNone, kPhases, kOperations };

// What DDRO_NVTX asks for; none where it is not set. Error(kInput) for another value.
NvtxRanges nvtx_ranges_wanted();

// Marks what this thread does while it lives, and backward passes that it starts. LibTorch's profiler is not
// in use meanwhile. Without a tool that listens, a range costs next to nothing.
class NvtxScope {
 public:
  explicit NvtxScope(NvtxRanges ranges);
  ~NvtxScope();
  NvtxScope(const NvtxScope&) = delete;
  NvtxScope& operator=(const NvtxScope&) = delete;

 private:
  bool is_on_;
};

}  // namespace ddro::train

namespace ddro {

template <>
struct EnumNames<train::NvtxRanges> {
  using E = train::NvtxRanges;
  static constexpr std::array<EnumName<E>, 3> kNames = {
      {{"none", E::kNone}, {"phases", E::kPhases}, {"operations", E::kOperations}}};
};

}  // namespace ddro
