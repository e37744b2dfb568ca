// What a GPU must have, and what a model costs on one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ddro/base/tensor.h"
#include "ddro/models/model_spec.h"

namespace ddro::run {

// Compute capability: which instructions a device has.
struct Capability {
  int major = 0;
  int minor = 0;
  auto operator<=>(const Capability&) const = default;
};

inline constexpr Capability kLeastCapability = {7, 5};     // cmake/Torch.cmake: what kernels are compiled for
inline constexpr Capability kBFloat16Capability = {8, 0};  // from which on bfloat16 is in the hardware

Capability capability_of(at::Device device);

// Error(kModel) where the program has no kernels for a device.
void check_capability(const std::string& device_name, Capability capability);

// Lets the allocator's segments grow, unless `allocate`, the first allocation under that setting, throws:
// some virtual devices cannot. Micro-batches differ in size; in segments of fixed sizes their tensors leave
// gaps that nothing fits.
void choose_segments(const std::function<void()>& allocate);

// Why this model is slower on a GPU than it has to be, a line each, with what to do.
std::vector<std::string> gpu_remarks(const models::ModelSpec& spec, at::ScalarType dtype);

}  // namespace ddro::run
