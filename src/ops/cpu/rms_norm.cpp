// Legend: R rows, D width, B blocks of rows.
#include <ATen/ATen.h>

#include <algorithm>

#include "ddro/ops/parallel_for.h"
#include "ops/cpu/float_rows.h"
#include "ops/rms_norm_device.h"

namespace ddro::ops::cpu {
namespace {

// Rows whose gradients of the weight add up one after the other: which ones does not depend on the threads.
constexpr std::int64_t kBlockRows = 32;

std::int64_t num_rows(const Tensor& x) { return x.size(-1) == 0 ? 0 : x.numel() / x.size(-1); }

// visit(first row, last row) on all threads.
template <typename Visit>
void for_each_block(std::int64_t rows, const Visit& visit) {
  parallel_for(0, (rows + kBlockRows - 1) / kBlockRows, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t block = first; block < last; ++block)
      visit(block, block * kBlockRows, std::min(rows, (block + 1) * kBlockRows));
  });
}

}  // namespace

RmsNormed composed_rms_norm(const Tensor& x, const Tensor& addend, const Tensor& weight, double eps) {
  const Tensor sum = addend.defined() ? x + addend : x;
  const Tensor wide = sum.to(x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  const Tensor scale = at::linalg_vector_norm(wide, 2, at::IntArrayRef{-1}, /*keepdim=*/true)
                           .square_()
                           .div_(x.size(-1))
                           .add_(eps)
                           .rsqrt_();
  return {sum, (wide * scale).to(x.scalar_type()).mul_(weight), scale};
}

// With n = x s and the row mean m of dy w n: dx = s (dy w - n m), dweight = sum over rows of dy n.
RmsNormGradients composed_rms_norm_backward(const Tensor& d_y, const Tensor& sum, const Tensor& weight,
                                            const Tensor& scale, const Tensor& d_sum, bool weight_needs) {
  const Tensor wide_weight = weight.to(scale.scalar_type());
  const Tensor dy = d_y.to(scale.scalar_type());
  const Tensor normed = sum.to(scale.scalar_type()) * scale;
  const Tensor product = normed * dy;
  const Tensor mean = at::matmul(product, wide_weight).div_(sum.size(-1)).unsqueeze_(-1);
  RmsNormGradients gradients;
  gradients.d_x = (dy * wide_weight).addcmul_(normed, mean, -1).mul_(scale).to(sum.scalar_type());
  if (d_sum.defined()) gradients.d_x.add_(d_sum);
  if (weight_needs) gradients.d_weight = product.reshape({-1, sum.size(-1)}).sum(0).to(weight.scalar_type());
  return gradients;
}

namespace {

// Of tensors of T, which float_rows.h has rows of.
template <typename T>
RmsNormed rms_norm_by_rows(const Tensor& x, const Tensor& addend, const Tensor& weight, double eps) {
  const std::int64_t width = x.size(-1);
  const Tensor x_RD = x.contiguous(), addend_RD = addend.defined() ? addend.contiguous() : addend;
  const Tensor weight_D = weight.contiguous();
  RmsNormed result;
  result.sum = addend.defined() ? at::empty_like(x_RD) : x_RD;
  result.y = at::empty_like(x_RD);
  std::vector<std::int64_t> scale_sizes = x.sizes().vec();
  scale_sizes.back() = 1;
  result.scale = at::empty(scale_sizes, x.options().dtype(at::kFloat));
  const auto* xs = x_RD.const_data_ptr<T>();
  const auto* addends = addend.defined() ? addend_RD.const_data_ptr<T>() : nullptr;
  const auto* weights = weight_D.const_data_ptr<T>();
  auto* sums = addend.defined() ? result.sum.mutable_data_ptr<T>() : nullptr;
  auto* ys = result.y.mutable_data_ptr<T>();
  auto* scales = result.scale.mutable_data_ptr<float>();
  for_each_block(num_rows(x), [&](std::int64_t, std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      const std::int64_t begin = row * width;
      if (addends != nullptr) add_row(xs + begin, addends + begin, width, sums + begin);
      const T* summed = (addends != nullptr ? sums : xs) + begin;
      scales[row] = rms_norm_row(summed, weights, static_cast<float>(eps), width, ys + begin);
    }
  });
  return result;
}

template <typename T>
RmsNormGradients rms_norm_backward_by_rows(const Tensor& d_y, const Tensor& sum, const Tensor& weight,
                                           const Tensor& scale, const Tensor& d_sum, bool weight_needs) {
  const std::int64_t width = sum.size(-1), rows = num_rows(sum);
  const Tensor d_y_RD = d_y.contiguous(), sum_RD = sum.contiguous(), weight_D = weight.contiguous();
  const Tensor d_sum_RD = d_sum.defined() ? d_sum.contiguous() : d_sum;
  RmsNormGradients result;
  result.d_x = at::empty_like(sum_RD);
  const Tensor d_weight_BD =
      at::zeros({weight_needs ? (rows + kBlockRows - 1) / kBlockRows : 0, width}, scale.options());
  const auto* d_ys = d_y_RD.const_data_ptr<T>();
  const auto* sums = sum_RD.const_data_ptr<T>();
  const auto* weights = weight_D.const_data_ptr<T>();
  const auto* scales = scale.const_data_ptr<float>();
  const auto* d_sums = d_sum.defined() ? d_sum_RD.const_data_ptr<T>() : nullptr;
  auto* d_xs = result.d_x.mutable_data_ptr<T>();
  auto* d_weights = weight_needs ? d_weight_BD.mutable_data_ptr<float>() : nullptr;
  for_each_block(rows, [&](std::int64_t block, std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      const std::int64_t begin = row * width;
      rms_norm_backward_row(d_ys + begin, sums + begin, weights, scales[row],
                            d_sums != nullptr ? d_sums + begin : nullptr, width, d_xs + begin,
                            d_weights != nullptr ? d_weights + block * width : nullptr);
    }
  });
  if (weight_needs) result.d_weight = d_weight_BD.sum(0).to(weight.scalar_type());
  return result;
}

}  // namespace

RmsNormed rms_norm(const Tensor& x, const Tensor& addend, const Tensor& weight, double eps) {
  const auto forward = x.scalar_type() == at::kFloat      ? rms_norm_by_rows<float>
                       : x.scalar_type() == at::kBFloat16 ? rms_norm_by_rows<BFloat16>
                                                          : composed_rms_norm;
  return forward(x, addend, weight, eps);
}

RmsNormGradients rms_norm_backward(const Tensor& d_y, const Tensor& sum, const Tensor& weight,
                                   const Tensor& scale, const Tensor& d_sum, bool weight_needs) {
  const auto backward = sum.scalar_type() == at::kFloat      ? rms_norm_backward_by_rows<float>
                        : sum.scalar_type() == at::kBFloat16 ? rms_norm_backward_by_rows<BFloat16>
                                                             : composed_rms_norm_backward;
  return backward(d_y, sum, weight, scale, d_sum, weight_needs);
}

}  // namespace ddro::ops::cpu
