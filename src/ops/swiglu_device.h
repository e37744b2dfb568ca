// The gated activation of ddro/ops/linear.h without the product with the weight, forward and backward.
//
// Legend: T tokens, F feed-forward width.
#pragma once

#include "ddro/base/tensor.h"

namespace ddro::ops {

struct SwiGluGradients {
  Tensor product_TF;  // as the forward's
  Tensor d_gate_TF;
  Tensor d_up_TF;
};

// silu(gate) * up, and its gradients together with the product once more. All in one dtype.
namespace cpu {
// Of ATen functions: this is the definition.
Tensor composed_swiglu(const Tensor& gate_TF, const Tensor& up_TF);
SwiGluGradients composed_swiglu_backward(const Tensor& d_product_TF, const Tensor& gate_TF,
                                         const Tensor& up_TF);
// float32 in one pass each, other dtypes composed.
Tensor swiglu(const Tensor& gate_TF, const Tensor& up_TF);
SwiGluGradients swiglu_backward(const Tensor& d_product_TF, const Tensor& gate_TF, const Tensor& up_TF);
}  // namespace cpu
// In one pass each; arithmetic in float32 for half types, rounded once.
namespace cuda {
Tensor swiglu(const Tensor& gate_TF, const Tensor& up_TF);
SwiGluGradients swiglu_backward(const Tensor& d_product_TF, const Tensor& gate_TF, const Tensor& up_TF);
}  // namespace cuda

}  // namespace ddro::ops
