// Is this machine sound? Every check of it, in a fixed order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "ddro/base/threads.h"
#include "ddro/doctor/finding.h"

namespace ddro::doctor {

// What the checks look at beside LibTorch and its devices.
struct Machine {
  ThreadFacts facts;             // CPUs, /proc and /sys, variables
  std::string cpu_capability;    // of the kernels that LibTorch has chosen: "AVX512", "AVX2", "DEFAULT"
  std::uint64_t built_libtorch;  // as run::built_libtorch()
  std::uint64_t loaded_libtorch;
  std::filesystem::path folder;  // of whose disk writing is tried
};

Machine this_machine(const std::filesystem::path& folder);

// Hands each finding over as soon as it is made; true when none has failed. What a check throws is a finding.
bool examine(const Machine& machine, const std::function<void(const Finding&)>& found);

}  // namespace ddro::doctor
