// Sums of matrix products: gradients of weights.
#pragma once

#include "ddro/base/tensor.h"

namespace ddro::ops {

// sum += a b, rounded to sum's dtype only (float32 or float64, or that of a and b).
void add_product(Tensor sum, const Tensor& a, const Tensor& b);

// What autograd gets as the gradient of the weight of y = x weight^T: undefined where it is added in place to
// weight.grad(), or to its part of that of the stacked weights that it is one of.
Tensor weight_gradient(const Tensor& weight, const Tensor& d_y, const Tensor& x);

}  // namespace ddro::ops
