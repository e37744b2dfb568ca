// Legend: R rows, D width, P parts of rows.
#include <ATen/ATen.h>
#include <ATen/OpMathType.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "ddro/base/error.h"
#include "ops/cuda/float_type_of.h"
#include "ops/cuda/rms_norm_kernel.h"
#include "ops/rms_norm_device.h"

namespace ddro::ops::cuda {
namespace {

std::int64_t num_rows(const Tensor& x) { return x.size(-1) == 0 ? 0 : x.numel() / x.size(-1); }

const void* address(const Tensor& tensor) { return tensor.defined() ? tensor.const_data_ptr() : nullptr; }

// Where there is one.
Tensor contiguous(const Tensor& tensor) { return tensor.defined() ? tensor.contiguous() : tensor; }

void check_alike(const Tensor& tensor, const Tensor& x) {
  DDRO_CHECK(!tensor.defined() || (tensor.sizes() == x.sizes() && tensor.device() == x.device() &&
                                   tensor.scalar_type() == x.scalar_type()),
             "sums and what is added are alike");
}

void check_weight(const Tensor& weight, const Tensor& x) {
  DDRO_CHECK(weight.numel() == x.size(-1) && weight.device() == x.device() &&
                 weight.scalar_type() == x.scalar_type(),
             "a factor for each column");
}

}  // namespace

RmsNormed rms_norm(const Tensor& x, const Tensor& addend, const Tensor& weight, double eps) {
  check_alike(addend, x);
  check_weight(weight, x);
  const c10::cuda::CUDAGuard guard(x.device());
  const Tensor x_RD = x.contiguous(), addend_RD = contiguous(addend), weight_D = weight.contiguous();
  std::vector<std::int64_t> scale_sizes = x.sizes().vec();
  scale_sizes.back() = 1;
  RmsNormed result{addend.defined() ? at::empty_like(x_RD) : x_RD, at::empty_like(x_RD),
                   at::empty(scale_sizes, x.options().dtype(at::toOpMathType(x.scalar_type())))};
  C10_CUDA_CHECK(launch_rms_norm(
      float_type_of(x_RD), x_RD.const_data_ptr(), address(addend_RD), weight_D.const_data_ptr(), eps,
      addend.defined() ? result.sum.data_ptr() : nullptr, result.y.data_ptr(), result.scale.data_ptr(),
      num_rows(x), x.size(-1), c10::cuda::getCurrentCUDAStream().stream()));
  return result;
}

RmsNormGradients rms_norm_backward(const Tensor& d_y, const Tensor& sum, const Tensor& weight,
                                   const Tensor& scale, const Tensor& d_sum, bool weight_needs) {
  const std::int64_t width = sum.size(-1), rows = num_rows(sum);
  if (width > kNormMaxWidth) {
    const auto [d_x, d_weight] = at::_fused_rms_norm_backward(d_y.contiguous(), sum.contiguous(), {width},
                                                              scale, weight, {true, weight_needs});
    return {d_sum.defined() ? d_x + d_sum : d_x, d_weight};
  }
  check_alike(d_y, sum);
  check_alike(d_sum, sum);
  check_weight(weight, sum);
  const c10::cuda::CUDAGuard guard(sum.device());
  const Tensor d_y_RD = d_y.contiguous(), sum_RD = sum.contiguous(), weight_D = weight.contiguous(),
               d_sum_RD = contiguous(d_sum);
  RmsNormGradients result{at::empty_like(sum_RD), Tensor()};
  Tensor d_weight_PD;
  if (weight_needs)
    d_weight_PD = at::empty({(rows + kNormPartRows - 1) / kNormPartRows, width}, scale.options());
  C10_CUDA_CHECK(launch_rms_norm_backward(float_type_of(sum_RD), d_y_RD.const_data_ptr(),
                                          sum_RD.const_data_ptr(), weight_D.const_data_ptr(),
                                          scale.const_data_ptr(), address(d_sum_RD), result.d_x.data_ptr(),
                                          weight_needs ? d_weight_PD.data_ptr() : nullptr, rows, width,
                                          c10::cuda::getCurrentCUDAStream().stream()));
  // LibTorch adds up columns in an order that depends on shapes alone.
  if (weight_needs) result.d_weight = d_weight_PD.sum(0).to(weight.scalar_type());
  return result;
}

}  // namespace ddro::ops::cuda
