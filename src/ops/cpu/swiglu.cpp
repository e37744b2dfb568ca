// The gated activation on the CPU, composed of ATen functions: this is the definition.
#include <ATen/ATen.h>

#include "ops/swiglu_device.h"

namespace ddro::ops::cpu {

Tensor swiglu(const Tensor& gate_TF, const Tensor& up_TF) { return at::silu(gate_TF).mul_(up_TF); }

SwiGluGradients swiglu_backward(const Tensor& d_product_TF, const Tensor& gate_TF, const Tensor& up_TF) {
  SwiGluGradients result;
  result.d_gate_TF = at::silu_backward(d_product_TF * up_TF, gate_TF);
  result.product_TF = at::silu(gate_TF);
  result.d_up_TF = result.product_TF * d_product_TF;
  result.product_TF.mul_(up_TF);
  return result;
}

}  // namespace ddro::ops::cpu
