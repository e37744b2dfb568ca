#include "ddro/train/nvtx_ranges.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <cstdlib>
#include <unordered_set>

namespace ddro::train {

namespace profiler = torch::autograd::profiler;

NvtxRanges nvtx_ranges_wanted() {
  const char* const value = std::getenv("DDRO_NVTX");
  return value == nullptr ? NvtxRanges::kNone : parse_enum<NvtxRanges>("DDRO_NVTX", value);
}

NvtxScope::NvtxScope(NvtxRanges ranges) : is_on_(ranges != NvtxRanges::kNone) {
  if (!is_on_) return;
  std::unordered_set<at::RecordScope> scopes;  // none: all
  if (ranges == NvtxRanges::kPhases) scopes = {at::RecordScope::USER_SCOPE};
  profiler::enableProfiler(profiler::ProfilerConfig(profiler::ProfilerState::NVTX), {}, scopes);
}

NvtxScope::~NvtxScope() {
  if (is_on_) profiler::disableProfiler();
}

}  // namespace ddro::train
