// A checksum of a tensor that its own device computes.
#pragma once

#include <cstdint>

#include "ddro/base/tensor.h"

namespace ddro::train {

// The sum of its numbers' bits, read as integers. One bit more or less changes it, and that of a whole is the
// sum of those of its parts.
std::uint64_t sum_of_bits(const Tensor& tensor);

}  // namespace ddro::train
