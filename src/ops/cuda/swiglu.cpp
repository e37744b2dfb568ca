#include <ATen/ATen.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "ddro/base/error.h"
#include "ops/cuda/float_type_of.h"
#include "ops/cuda/swiglu_kernel.h"
#include "ops/swiglu_device.h"

namespace ddro::ops::cuda {
namespace {

void check(const Tensor& tensor_TF, const Tensor& gate_TF) {
  DDRO_CHECK(tensor_TF.sizes() == gate_TF.sizes() && tensor_TF.device() == gate_TF.device() &&
                 tensor_TF.scalar_type() == gate_TF.scalar_type(),
             "gate, up and the gradient are alike");
}

}  // namespace

Tensor swiglu(const Tensor& gate_TF, const Tensor& up_TF) {
  check(up_TF, gate_TF);
  const c10::cuda::CUDAGuard guard(gate_TF.device());
  const Tensor gate = gate_TF.contiguous(), up = up_TF.contiguous();
  Tensor product_TF = at::empty_like(gate);
  C10_CUDA_CHECK(launch_swiglu(float_type_of(gate), gate.const_data_ptr(), up.const_data_ptr(),
                               product_TF.data_ptr(), gate.numel(),
                               c10::cuda::getCurrentCUDAStream().stream()));
  return product_TF;
}

SwiGluGradients swiglu_backward(const Tensor& d_product_TF, const Tensor& gate_TF, const Tensor& up_TF) {
  check(up_TF, gate_TF);
  check(d_product_TF, gate_TF);
  const c10::cuda::CUDAGuard guard(gate_TF.device());
  const Tensor gate = gate_TF.contiguous(), up = up_TF.contiguous(), d_product = d_product_TF.contiguous();
  SwiGluGradients result{at::empty_like(gate), at::empty_like(gate), at::empty_like(gate)};
  C10_CUDA_CHECK(launch_swiglu_backward(
      float_type_of(gate), d_product.const_data_ptr(), gate.const_data_ptr(), up.const_data_ptr(),
      result.product_TF.data_ptr(), result.d_gate_TF.data_ptr(), result.d_up_TF.data_ptr(), gate.numel(),
      c10::cuda::getCurrentCUDAStream().stream()));
  return result;
}

}  // namespace ddro::ops::cuda
