#include <ATen/ATen.h>

#include <algorithm>

#include "ddro/ops/parallel_for.h"
#include "ops/cpu/float_rows.h"
#include "ops/rotary_device.h"

namespace ddro::ops::cpu {
namespace {

constexpr std::int64_t kNumbersATask = 1 << 14;

template <typename T>
Tensor turned(const Tensor& x_THK, const Tensor& cos_T1K, const Tensor& sin_T1K, bool inverse) {
  const Tensor x = x_THK.contiguous(), cos = cos_T1K.contiguous(), sin = sin_T1K.contiguous();
  Tensor y_THK = at::empty_like(x);
  const std::int64_t heads = x.size(1), width = x.size(2);
  const auto *xs = x.const_data_ptr<T>(), *cosines = cos.const_data_ptr<T>(),
             *sines = sin.const_data_ptr<T>();
  auto* ys = y_THK.mutable_data_ptr<T>();
  const std::int64_t grain =
      std::max<std::int64_t>(1, kNumbersATask / std::max<std::int64_t>(1, heads * width));
  parallel_for(0, x.size(0), grain, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first * heads; row < last * heads; ++row) {
      const std::int64_t angle = row / heads * width;
      if (inverse) {
        rotate_back_row(xs + row * width, cosines + angle, sines + angle, width / 2, ys + row * width);
      } else {
        rotate_row(xs + row * width, cosines + angle, sines + angle, width / 2, ys + row * width);
      }
    }
  });
  return y_THK;
}

}  // namespace

Tensor rotary(const Tensor& x_THK, const Tensor& cos_T1K, const Tensor& sin_T1K, bool inverse) {
  const auto turn = x_THK.scalar_type() == at::kFloat ? turned<float> : turned<BFloat16>;
  return turn(x_THK, cos_T1K, sin_T1K, inverse);
}

}  // namespace ddro::ops::cpu
