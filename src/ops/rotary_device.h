// The rotation of ddro/ops/rotary.h without autograd, in one pass. `inverse`: by the opposite angle, which is
// the gradient.
#pragma once

#include "ddro/base/tensor.h"

namespace ddro::ops {

namespace cpu {
// float32.
Tensor rotary(const Tensor& x_THK, const Tensor& cos_T1K, const Tensor& sin_T1K, bool inverse);
}  // namespace cpu
namespace cuda {
// Arithmetic in float32 for half types, rounded once.
Tensor rotary(const Tensor& x_THK, const Tensor& cos_T1K, const Tensor& sin_T1K, bool inverse);
}  // namespace cuda

}  // namespace ddro::ops
