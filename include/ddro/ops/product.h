// Matrix products of tensors of one floating dtype, whose sums are in float32 or better.
//
// LibTorch's own of bfloat16 need instructions for it: on a CPU without them they reach a hundredth to a
// tenth of float32's rate. There operands are widened, and the result is rounded once.
#pragma once

#include <optional>

#include "ddro/base/tensor.h"

namespace ddro::ops {

// Whether the CPU multiplies bfloat16 by itself (AVX-512 BF16).
bool cpu_multiplies_bfloat16();

// What products of `dtype` are computed in on `device`: `dtype`, or float32 for bfloat16 on a CPU that does
// not multiply it.
at::ScalarType product_type(at::ScalarType dtype, at::Device device);
at::ScalarType product_type(const Tensor& operand);

// a b, in a's dtype; b may be of a shorter one or packed (ddro/ops/packed.h).
Tensor product(const Tensor& a_MK, const Tensor& b_KN);

// x W^T + b, in x's dtype, without autograd; the weight likewise.
Tensor linear_product(const Tensor& x_TD, const Tensor& weight_ED, const std::optional<Tensor>& bias_E = {});

// sum += a b, rounded to sum's dtype only (float32 or float64, or that of a and b).
void add_product(Tensor sum, const Tensor& a, const Tensor& b);

// Whether there are products of operands of `dtype`, a half type, with a result in float32: on a GPU, and on
// a CPU that multiplies bfloat16.
bool has_wide_product(at::ScalarType dtype, at::Device device);

// result = a b, such a one.
void wide_product(Tensor result_MN, const Tensor& a_MK, const Tensor& b_KN);

}  // namespace ddro::ops
