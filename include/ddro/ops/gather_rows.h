// Rows that several readers share, such as the keys of a prefix; their gradients add up in a fixed order.
//
// Legend: T rows, J rows as they are read.
#pragma once

#include <cstdint>
#include <span>

#include "ddro/base/tensor.h"

namespace ddro::ops {

// Which row each of J reads, and for each of T rows where it is read.
struct RowGather {
  Tensor rows_J;      // int64
  Tensor places_J;    // int64: the places of row 0, ascending, then those of row 1 ...
  Tensor offsets_T1;  // int64: those of row t are [offsets[t], offsets[t + 1])
};

// Of rows from 0 to num_rows.
RowGather make_row_gather(std::span<const std::int64_t> rows, std::int64_t num_rows, at::Device device);

// J x ...: row rows_J[j] of x at j. Differentiable: the gradient of a row is the sum of those of its places,
// in their order, in float32 (float64 for float64), rounded once.
Tensor gather_rows(const Tensor& x, const RowGather& gather);

}  // namespace ddro::ops
