// The rotation of ddro/ops/rotary.h without autograd.
#pragma once

#include "ddro/base/tensor.h"

namespace ddro::ops::cuda {

// In one pass, arithmetic in float32 for half types, rounded once. `inverse`: by the opposite angle, which is
// the gradient.
Tensor rotary(const Tensor& x_THK, const Tensor& cos_T1K, const Tensor& sin_T1K, bool inverse);

}  // namespace ddro::ops::cuda
