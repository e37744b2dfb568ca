// Rotary position embedding in Hugging Face's order: the halves of a head are the two components.
//
// Legend: T tokens, H heads, K head width.
#pragma once

#include "ddro/base/tensor.h"

namespace ddro::ops {

// (x1, x2) -> (x1 cos - x2 sin, x2 cos + x1 sin) for the halves x1, x2 of each head; the halves of cos_T1K
// and of sin_T1K are equal. All in one dtype; cos and sin without gradient. Differentiable, in float32
// and on CUDA once.
Tensor rotary(const Tensor& x_THK, const Tensor& cos_T1K, const Tensor& sin_T1K);

// The same, composed of ATen functions: this is the definition.
Tensor composed_rotary(const Tensor& x_THK, const Tensor& cos_T1K, const Tensor& sin_T1K);

}  // namespace ddro::ops
