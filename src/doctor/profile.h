// What an action spends its time in, as LibTorch's profiler records it.
#pragma once

#include <functional>
#include <vector>

#include "ddro/base/tensor.h"
#include "ddro/doctor/speed.h"

namespace ddro::doctor {

struct Profile {
  std::vector<KernelTime> kernels;  // the longest first
  std::vector<KernelTime> phases;  // of the CPU: scopes that train names, whole, in order of their beginnings
  double busy_seconds = 0;         // of CUDA: during which at least one kernel ran
};

// On a CUDA device of its kernels and copies, otherwise of operations: the time that is their own. `action`
// ends synchronised.
Profile profile(at::Device device, const std::function<void()>& action);

// A recorded interval.
struct Interval {
  std::string name;
  std::uint64_t stream = 0;          // thread or stream; intervals of one are nested or apart
  std::uint64_t begin = 0, end = 0;  // nanoseconds
  bool is_phase = false;
};

std::vector<KernelTime> own_times(std::vector<Interval> intervals);
std::vector<KernelTime> phase_times(std::vector<Interval> intervals);
double covered_seconds(std::vector<Interval> intervals);  // by at least one of them

}  // namespace ddro::doctor
