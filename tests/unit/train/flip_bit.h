// What a faulty bit of memory does to a tensor.
#pragma once

#include "ddro/base/tensor.h"

namespace ddro::test {

inline void flip_bit(const Tensor& tensor, std::int64_t bit) {
  auto* const bytes = static_cast<unsigned char*>(tensor.mutable_data_ptr());
  bytes[bit / 8] ^= static_cast<unsigned char>(1U << (bit % 8));
}

}  // namespace ddro::test
