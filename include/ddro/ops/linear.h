// Products with weights and rows of an embedding, whose weight gradients add up in place.
//
// Where weight.grad() is defined, the backward adds to it directly, in its own dtype (float32 for a bfloat16
// weight), and hands autograd nothing: no gradient of a weight's size is ever allocated. Then call
// backward(), not grad(). Without it autograd gets the gradient as usual. Differentiable once.
//
// Legend: T tokens, D width, E output width, F feed-forward width, V vocabulary.
#pragma once

#include "ddro/base/tensor.h"

namespace ddro::ops {

// x W^T + b: T x E. weight_ED and bias_E (undefined: none) have x's dtype.
Tensor linear(const Tensor& x_TD, const Tensor& weight_ED, const Tensor& bias_E);

// The gated activation and what follows it: (silu(gate) * up) W^T + b. Keeps gate and up for the backward,
// not their product.
Tensor swiglu_linear(const Tensor& gate_TF, const Tensor& up_TF, const Tensor& weight_EF,
                     const Tensor& bias_E);

// Rows ids_T (int64) of weight_VD. Repeated ids add up in a fixed order.
Tensor embedding(const Tensor& weight_VD, const Tensor& ids_T);

}  // namespace ddro::ops
