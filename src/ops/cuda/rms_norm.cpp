#include <ATen/ATen.h>

#include "ops/rms_norm_device.h"

namespace ddro::ops::cuda {

RmsNormed rms_norm(const Tensor& x, const Tensor& addend, const Tensor& weight, double eps) {
  const Tensor sum = addend.defined() ? x + addend : x;
  const auto [y, scale] = at::_fused_rms_norm(sum, {x.size(-1)}, weight, eps);
  return {sum, y, scale};
}

RmsNormGradients rms_norm_backward(const Tensor& d_y, const Tensor& sum, const Tensor& weight,
                                   const Tensor& scale, const Tensor& d_sum, bool weight_needs) {
  const auto [d_x, d_weight] = at::_fused_rms_norm_backward(d_y.contiguous(), sum, {sum.size(-1)}, scale,
                                                            weight, {true, weight_needs});
  return {d_sum.defined() ? d_x + d_sum : d_x, d_weight};
}

}  // namespace ddro::ops::cuda
