#include <ATen/ATen.h>

#include "ddro/ops/parallel_for.h"
#include "ops/cpu/float_rows.h"
#include "ops/swiglu_device.h"

namespace ddro::ops::cpu {
namespace {

constexpr std::int64_t kNumbersATask = 1 << 14;

}  // namespace

Tensor composed_swiglu(const Tensor& gate_TF, const Tensor& up_TF) { return at::silu(gate_TF).mul_(up_TF); }

SwiGluGradients composed_swiglu_backward(const Tensor& d_product_TF, const Tensor& gate_TF,
                                         const Tensor& up_TF) {
  SwiGluGradients result;
  result.d_gate_TF = at::silu_backward(d_product_TF * up_TF, gate_TF);
  result.product_TF = at::silu(gate_TF);
  result.d_up_TF = result.product_TF * d_product_TF;
  result.product_TF.mul_(up_TF);
  return result;
}

namespace {

// Of tensors of T, which float_rows.h has rows of.
template <typename T>
Tensor swiglu_by_rows(const Tensor& gate_TF, const Tensor& up_TF) {
  const Tensor gate = gate_TF.contiguous(), up = up_TF.contiguous();
  Tensor product_TF = at::empty_like(gate);
  const auto *gates = gate.const_data_ptr<T>(), *ups = up.const_data_ptr<T>();
  auto* products = product_TF.mutable_data_ptr<T>();
  parallel_for(0, gate.numel(), kNumbersATask, [&](std::int64_t first, std::int64_t last) {
    swiglu_row(gates + first, ups + first, last - first, products + first);
  });
  return product_TF;
}

template <typename T>
SwiGluGradients swiglu_backward_by_rows(const Tensor& d_product_TF, const Tensor& gate_TF,
                                        const Tensor& up_TF) {
  const Tensor gate = gate_TF.contiguous(), up = up_TF.contiguous(), d_product = d_product_TF.contiguous();
  SwiGluGradients result{at::empty_like(gate), at::empty_like(gate), at::empty_like(gate)};
  const auto *gates = gate.const_data_ptr<T>(), *ups = up.const_data_ptr<T>(),
             *d_products = d_product.const_data_ptr<T>();
  auto *products = result.product_TF.mutable_data_ptr<T>(), *d_gates = result.d_gate_TF.mutable_data_ptr<T>(),
       *d_ups = result.d_up_TF.mutable_data_ptr<T>();
  parallel_for(0, gate.numel(), kNumbersATask, [&](std::int64_t first, std::int64_t last) {
    swiglu_backward_row(d_products + first, gates + first, ups + first, last - first, products + first,
                        d_gates + first, d_ups + first);
  });
  return result;
}

}  // namespace

Tensor swiglu(const Tensor& gate_TF, const Tensor& up_TF) {
  const auto forward = gate_TF.scalar_type() == at::kFloat      ? swiglu_by_rows<float>
                       : gate_TF.scalar_type() == at::kBFloat16 ? swiglu_by_rows<BFloat16>
                                                                : composed_swiglu;
  return forward(gate_TF, up_TF);
}

SwiGluGradients swiglu_backward(const Tensor& d_product_TF, const Tensor& gate_TF, const Tensor& up_TF) {
  const auto backward = gate_TF.scalar_type() == at::kFloat      ? swiglu_backward_by_rows<float>
                        : gate_TF.scalar_type() == at::kBFloat16 ? swiglu_backward_by_rows<BFloat16>
                                                                 : composed_swiglu_backward;
  return backward(d_product_TF, gate_TF, up_TF);
}

}  // namespace ddro::ops::cpu
