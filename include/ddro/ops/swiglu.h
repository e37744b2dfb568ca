// The gated activation of Llama's feed-forward layer.
#pragma once

#include "ddro/base/tensor.h"

namespace ddro::ops {

// silu(gate) * up, elementwise. Differentiable once; keeps gate and up alone for the backward.
Tensor swiglu(const Tensor& gate, const Tensor& up);

}  // namespace ddro::ops
