// Rows brought into another order, without atomics in either direction.
//
// Legend: T rows, M copies of each, R = T M rows of the result, D width.
#pragma once

#include <cstdint>

#include "ddro/base/tensor.h"

namespace ddro::ops {

// A permutation of R rows, and its inverse: int64.
struct RowOrder {
  Tensor order_R;   // row r of the result is row order[r]
  Tensor places_R;  // row i goes to row places[i]

  RowOrder inverse() const { return {places_R, order_R}; }
};

// Rows by their keys (int64), in their own order where keys are equal.
RowOrder sort_rows(const Tensor& keys_R);

// M copies of each row (row t's are M t to M t + M - 1), in `order`: R x D. The gradients of a row's copies
// add up in a fixed order. Differentiable once.
Tensor take_rows(const Tensor& x_TD, const RowOrder& order, std::int64_t copies = 1);

}  // namespace ddro::ops
