#include "ddro/ops/product.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "ddro/base/error.h"
#include "ddro/ops/packed.h"
#include "ops/cpu/products.h"

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

// The matrix where it lies, if its rows or its columns do so one after the other, or else a copy, in `kept`.
cpu::BFloat16Matrix matrix_of(const Tensor& x_MN, Tensor& kept) {
  const auto lies_well = [](std::int64_t inner, std::int64_t inner_size, std::int64_t outer) {
    return (inner == 1 || inner_size == 1) && outer >= std::max<std::int64_t>(1, inner_size);
  };
  kept = x_MN;
  const bool by_rows = lies_well(x_MN.stride(1), x_MN.size(1), x_MN.stride(0));
  const bool by_columns = !by_rows && lies_well(x_MN.stride(0), x_MN.size(0), x_MN.stride(1));
  if (!by_rows && !by_columns) kept = x_MN.contiguous();
  return {kept.const_data_ptr<at::BFloat16>(), kept.stride(by_columns ? 1 : 0), by_columns};
}

// On the CPU, with operands of bfloat16.
void multiply(const Tensor& result_MN, const Tensor& a_MK, const Tensor& b_KN, bool add) {
  if (result_MN.numel() == 0) return;
  DDRO_CHECK(result_MN.scalar_type() == at::kFloat && (result_MN.stride(1) == 1 || result_MN.size(1) == 1),
             "float32, rows of consecutive numbers");
  if (a_MK.size(1) == 0) {
    if (!add) result_MN.zero_();
    return;
  }
  Tensor a, b;
  cpu::multiply(matrix_of(a_MK, a), matrix_of(b_KN, b), result_MN.mutable_data_ptr<float>(),
                std::max(result_MN.stride(0), result_MN.size(1)),
                {result_MN.size(0), result_MN.size(1), a_MK.size(1)}, add);
}

}  // namespace

bool has_wide_product(at::ScalarType dtype, at::Device device) {
  if (device.is_cuda()) return dtype == at::kHalf || dtype == at::kBFloat16;
  return dtype == at::kBFloat16 && cpu_multiplies_bfloat16();
}

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
  } else if (sum.scalar_type() != at::kFloat || !has_wide_product(a.scalar_type(), a.device())) {
    sum.add_(at::mm(a.to(type), numbers_for_product(b, type)));
  } else if (sum.is_cuda()) {
    at::addmm_out(sum, sum, a, b, at::kFloat);
  } else {
    multiply(sum, a, numbers_for_product(b, type), /*add=*/true);
  }
}

void wide_product(Tensor result_MN, const Tensor& a_MK, const Tensor& b_KN) {
  DDRO_CHECK(has_wide_product(a_MK.scalar_type(), a_MK.device()), "a half type that has such products");
  if (result_MN.is_cuda()) {
    at::mm_out(result_MN, a_MK, b_KN, at::kFloat);
  } else {
    multiply(result_MN, a_MK, b_KN, /*add=*/false);
  }
}

}  // namespace ddro::ops
