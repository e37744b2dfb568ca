// Integers from the host to a device.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ddro/base/tensor.h"

namespace ddro::ops {

using Integers = std::span<const std::int64_t>;

// A tensor (int64) of each list, all in one copy. A GPU gets them from pinned memory, in the order of its
// work: the host does not wait for it.
std::vector<Tensor> upload(const std::vector<Integers>& lists, at::Device device);

}  // namespace ddro::ops
