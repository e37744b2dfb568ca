// The norm of ddro/ops/rms_norm.h without autograd.
//
// Legend: R rows, D width.
#pragma once

#include "ddro/base/tensor.h"

namespace ddro::ops {

struct RmsNormed {
  Tensor sum;    // x + addend; x itself without one
  Tensor y;      // of the sum
  Tensor scale;  // 1 / sqrt(mean(sum^2) + eps) of each row
};

struct RmsNormGradients {
  Tensor d_x;
  Tensor d_weight;
};

// `addend`, `d_sum`: undefined where there is none. d_x holds d_sum too. Of a weight that needs no gradient
// there is none.
namespace cpu {
// Composed of ATen functions, in any dtype: this is the definition.
RmsNormed composed_rms_norm(const Tensor& x, const Tensor& addend, const Tensor& weight, double eps);
RmsNormGradients composed_rms_norm_backward(const Tensor& d_y, const Tensor& sum, const Tensor& weight,
                                            const Tensor& scale, const Tensor& d_sum, bool weight_needs);
// float32 in one pass each way, other dtypes composed.
RmsNormed rms_norm(const Tensor& x, const Tensor& addend, const Tensor& weight, double eps);
RmsNormGradients rms_norm_backward(const Tensor& d_y, const Tensor& sum, const Tensor& weight,
                                   const Tensor& scale, const Tensor& d_sum, bool weight_needs);
}  // namespace cpu
namespace cuda {
// In one pass each way, the weight's gradient without atomics; gradients of rows of more than 16,384 numbers
// by LibTorch's kernels.
RmsNormed rms_norm(const Tensor& x, const Tensor& addend, const Tensor& weight, double eps);
RmsNormGradients rms_norm_backward(const Tensor& d_y, const Tensor& sum, const Tensor& weight,
                                   const Tensor& scale, const Tensor& d_sum, bool weight_needs);
}  // namespace cuda

}  // namespace ddro::ops
