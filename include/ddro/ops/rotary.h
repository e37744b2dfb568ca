// Rotary position embedding in Hugging Face's order: the halves of a head are the two components.
//
// Legend: T tokens, H heads, K head width, J = K / 2.
#pragma once

#include "ddro/base/tensor.h"

namespace ddro::ops {

// (x1, x2) -> (x1 cos - x2 sin, x2 cos + x1 sin) for the halves x1, x2 of each head. x_THK; cos_T1J and
// sin_T1J in x's dtype, without gradient. Differentiable once.
Tensor rotary(const Tensor& x_THK, const Tensor& cos_T1J, const Tensor& sin_T1J);

}  // namespace ddro::ops
