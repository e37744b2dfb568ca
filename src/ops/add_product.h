// Sums of matrix products: gradients of weights.
#pragma once

#include "ddro/base/tensor.h"

namespace ddro::ops {

// sum += a b, rounded to sum's dtype only (float32 or float64, or that of a and b).
void add_product(Tensor sum, const Tensor& a, const Tensor& b);

}  // namespace ddro::ops
