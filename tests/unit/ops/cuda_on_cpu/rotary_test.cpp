// The rotation's kernel, run by threads of the CPU, against the composed form and its gradient.
#include "support/cuda_on_cpu.h"
// The file under test sees what the line above defines.
#include "ops/cuda/rotary_kernel.cu"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "ddro/ops/rotary.h"
#include "ops/cuda/float_type_of.h"
#include "unit/ops/cuda_on_cpu/guarded.h"
#include "unit/ops/cuda_on_cpu/rounding.h"

namespace ddro::ops {
namespace {

using test::Guarded;

Tensor run_kernel(const Tensor& x_THK, const Tensor& cos_T1K, const Tensor& sin_T1K, bool inverse,
                  std::array<std::int64_t, 4> offsets) {
  const Guarded x(x_THK, offsets[0]), cos(cos_T1K, offsets[1]), sin(sin_T1K, offsets[2]);
  const Guarded y(x_THK.sizes(), x_THK.scalar_type(), offsets[3]);
  EXPECT_EQ(cuda::launch_rotary(cuda::float_type_of(x_THK), x.data(), cos.data(), sin.data(), y.data(),
                                x_THK.size(0), x_THK.size(1), x_THK.size(2), inverse, nullptr),
            cudaSuccess);
  y.expect_untouched_around();
  return y.inner();
}

struct Rotated {
  Tensor y_THK, d_x_THK;
};
Rotated composed(const Tensor& x_THK, const Tensor& cos_T1K, const Tensor& sin_T1K, const Tensor& d_y_THK) {
  const Tensor leaf = x_THK.detach().clone().requires_grad_();
  const Tensor y_THK = rotary(leaf, cos_T1K, sin_T1K);
  y_THK.backward(d_y_THK);
  return {y_THK.detach(), leaf.grad()};
}

// Tokens, heads, width.
using Shape = std::array<std::int64_t, 3>;
class RotaryKernel : public testing::TestWithParam<at::ScalarType> {};

// No token; heads of one number a half; halves of packs and others; more packs than threads of a block.
TEST_P(RotaryKernel, RoundsLikeTheComposedForm) {
  const at::ScalarType dtype = GetParam();
  at::manual_seed(5);
  for (const Shape& shape :
       {Shape{0, 3, 8}, Shape{3, 1, 2}, Shape{3, 9, 64}, Shape{2, 5, 20}, Shape{2, 33, 256}}) {
    SCOPED_TRACE("width " + std::to_string(shape[2]));
    const Tensor x = at::randn(shape, at::kDouble).to(dtype), d_y = at::randn(shape, at::kDouble).to(dtype);
    const Tensor angle = (9 * at::randn({shape[0], 1, shape[2] / 2}, at::kDouble)).repeat({1, 1, 2});
    const Tensor cos = angle.cos().to(dtype), sin = angle.sin().to(dtype);
    const Rotated plain = composed(x, cos, sin, d_y);
    const Rotated exact =
        composed(x.to(at::kDouble), cos.to(at::kDouble), sin.to(at::kDouble), d_y.to(at::kDouble));
    // Halves of whole packs: every array at a 16-byte boundary, and each in turn off it.
    for (size_t off = 0; off <= (shape[2] == 64 ? 4 : 0); ++off) {
      std::array<std::int64_t, 4> offsets{};
      if (off > 0) offsets[off - 1] = 1;
      test::expect_rounded_like(run_kernel(x, cos, sin, false, offsets), plain.y_THK, exact.y_THK);
      test::expect_rounded_like(run_kernel(d_y, cos, sin, true, offsets), plain.d_x_THK, exact.d_x_THK);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, RotaryKernel,
                         testing::Values(at::kHalf, at::kBFloat16, at::kFloat, at::kDouble));

TEST(RotaryKernelLimits, AHeadTooWideForAnIndexIsAnError) {
  EXPECT_EQ(cuda::launch_rotary(cuda::FloatType::kFloat32, nullptr, nullptr, nullptr, nullptr, 1,
                                std::int64_t{1} << 24, 128, false, nullptr),
            cudaErrorInvalidValue);
}

}  // namespace
}  // namespace ddro::ops
