// Gradients of weights, which add up where they are.
#pragma once

#include "ddro/base/tensor.h"

namespace ddro::ops {

// What autograd gets as the gradient of the weight of y = x weight^T: undefined where it is added in place to
// weight.grad(), or to its part of that of the stacked weights that it is one of.
Tensor weight_gradient(const Tensor& weight, const Tensor& d_y, const Tensor& x);

}  // namespace ddro::ops
