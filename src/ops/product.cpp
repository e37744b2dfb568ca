#include "ddro/ops/product.h"

#include <ATen/ATen.h>

#include "ddro/ops/packed.h"

namespace ddro::ops {

bool cpu_multiplies_bfloat16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

at::ScalarType product_type(at::ScalarType dtype, at::Device device) {
  return dtype == at::kBFloat16 && device.is_cpu() && !cpu_multiplies_bfloat16() ? at::kFloat : dtype;
}

at::ScalarType product_type(const Tensor& operand) {
  return product_type(operand.scalar_type(), operand.device());
}

namespace {

// The numbers of a weight as `dtype` has them, in the wider `type`.
Tensor widened(const Tensor& weight, at::ScalarType dtype, at::ScalarType type) {
  return is_packed(weight) ? numbers_for_product(weight, dtype).to(type) : numbers_for_product(weight, type);
}

}  // namespace

Tensor product(const Tensor& a_MK, const Tensor& b_KN) {
  const at::ScalarType type = product_type(a_MK);
  return at::mm(a_MK.to(type), widened(b_KN, a_MK.scalar_type(), type)).to(a_MK.scalar_type());
}

Tensor linear_product(const Tensor& x_TD, const Tensor& weight_ED, const std::optional<Tensor>& bias_E) {
  const at::ScalarType type = product_type(x_TD);
  const std::optional<Tensor> bias = bias_E ? std::optional<Tensor>(bias_E->to(type)) : std::nullopt;
  return at::linear(x_TD.to(type), widened(weight_ED, x_TD.scalar_type(), type), bias).to(x_TD.scalar_type());
}

void add_product(Tensor sum, const Tensor& a, const Tensor& b) {
  const at::ScalarType type = product_type(a);
  if (sum.scalar_type() == type) {
    sum.addmm_(a.to(type), numbers_for_product(b, type));
  } else if (sum.is_cuda() && sum.scalar_type() == at::kFloat) {
    at::addmm_out(sum, sum, a, b, at::kFloat);
  } else {
    sum.add_(at::mm(a.to(type), numbers_for_product(b, type)));
  }
}

}  // namespace ddro::ops
