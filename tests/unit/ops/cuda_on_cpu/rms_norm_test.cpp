// The norm's kernels, run by threads of the CPU, against the composed form.
#include "support/cuda_on_cpu.h"
// The file under test sees what the line above defines.
#include "ops/cuda/rms_norm_kernel.cu"

#include <ATen/ATen.h>
#include <ATen/OpMathType.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "ops/cuda/float_type_of.h"
#include "ops/rms_norm_device.h"
#include "unit/ops/cuda_on_cpu/guarded.h"
#include "unit/ops/cuda_on_cpu/rounding.h"

namespace ddro::ops {
namespace {

using test::Guarded;

constexpr double kEps = 1e-3;

// A copy that begins where the kernel is to find it; no tensor is none.
class Input {
 public:
  Input(const Tensor& values, std::int64_t offset) {
    if (values.defined()) copy_.emplace(values, offset);
  }
  const void* data() const { return copy_ ? copy_->data() : nullptr; }

 private:
  std::optional<Guarded> copy_;
};

RmsNormed forward(const Tensor& x, const Tensor& addend, const Tensor& weight, std::int64_t offset) {
  const Input x_copy(x, offset), addend_copy(addend, offset), weight_copy(weight, offset);
  const Guarded sum(x.sizes(), x.scalar_type(), offset), y(x.sizes(), x.scalar_type(), offset),
      scale({x.size(0), 1}, at::toOpMathType(x.scalar_type()));
  EXPECT_EQ(
      cuda::launch_rms_norm(cuda::float_type_of(x), x_copy.data(), addend_copy.data(), weight_copy.data(),
                            kEps, sum.data(), y.data(), scale.data(), x.size(0), x.size(1), nullptr),
      cudaSuccess);
  for (const Guarded* output : {&sum, &y, &scale}) output->expect_untouched_around();
  EXPECT_TRUE(addend.defined() || sum.inner().eq(3).all().item<bool>());
  return {addend.defined() ? sum.inner() : x, y.inner(), scale.inner()};
}

// d_weight: of each part of the rows.
RmsNormGradients backward(const Tensor& d_y, const RmsNormed& normed, const Tensor& weight,
                          const Tensor& d_sum, std::int64_t offset, bool weight_needs = true) {
  const Tensor& x = normed.sum;
  const Input d_y_copy(d_y, offset), sum_copy(x, offset), weight_copy(weight, offset),
      d_sum_copy(d_sum, offset);
  const std::int64_t parts = (x.size(0) + cuda::kNormPartRows - 1) / cuda::kNormPartRows;
  const Guarded d_x(x.sizes(), x.scalar_type(), offset),
      d_weight({parts, x.size(1)}, at::toOpMathType(x.scalar_type()));
  EXPECT_EQ(cuda::launch_rms_norm_backward(
                cuda::float_type_of(x), d_y_copy.data(), sum_copy.data(), weight_copy.data(),
                normed.scale.const_data_ptr(), d_sum_copy.data(), d_x.data(),
                weight_needs ? d_weight.data() : nullptr, x.size(0), x.size(1), nullptr),
            cudaSuccess);
  for (const Guarded* output : {&d_x, &d_weight}) output->expect_untouched_around();
  EXPECT_TRUE(weight_needs || d_weight.inner().eq(3).all().item<bool>());
  return {d_x.inner(), d_weight.inner()};
}

class RmsNormKernel : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override { at::manual_seed(4); }
  static Tensor random(at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble).to(GetParam()); }

  static void expect_like_composed(std::int64_t rows, std::int64_t width, bool adds, std::int64_t offset) {
    const auto wide = [](const Tensor& tensor) { return tensor.defined() ? tensor.to(at::kDouble) : tensor; };
    const Tensor x = random({rows, width}), weight = random({width}), d_y = random({rows, width});
    const Tensor addend = adds ? random({rows, width}) : Tensor(),
                 d_sum = adds ? random({rows, width}) : Tensor();
    const RmsNormed got = forward(x, addend, weight, offset);
    const RmsNormed composed = cpu::composed_rms_norm(x, addend, weight, kEps);
    // Of the sum as it is rounded.
    const RmsNormed exact = cpu::composed_rms_norm(wide(composed.sum), {}, wide(weight), kEps);
    EXPECT_TRUE(at::equal(got.sum, composed.sum));
    test::expect_rounded_like(got.y, composed.y, exact.y);
    EXPECT_TRUE(at::allclose(wide(got.scale), exact.scale, 1e-6, 0));

    const RmsNormGradients gradients = backward(d_y, got, weight, d_sum, offset);
    const auto composed_gradients =
        cpu::composed_rms_norm_backward(d_y, composed.sum, weight, composed.scale, d_sum, true);
    const auto exact_gradients =
        cpu::composed_rms_norm_backward(wide(d_y), exact.sum, wide(weight), exact.scale, wide(d_sum), true);
    test::expect_rounded_like(gradients.d_x, composed_gradients.d_x, exact_gradients.d_x);
    test::expect_rounded_like(gradients.d_weight.sum(0).to(GetParam()), composed_gradients.d_weight,
                              exact_gradients.d_weight);
    // Of each part alone, rows in their order.
    for (std::int64_t part = 0; part < gradients.d_weight.size(0); ++part) {
      const std::int64_t begin = part * cuda::kNormPartRows,
                         size = std::min(cuda::kNormPartRows, rows - begin);
      const Tensor normed = wide(got.sum.narrow(0, begin, size)) * wide(got.scale.narrow(0, begin, size));
      EXPECT_TRUE(at::allclose(wide(gradients.d_weight[part]),
                               (wide(d_y.narrow(0, begin, size)) * normed).sum(0), 1e-4, 1e-4));
    }
  }
};

// Rows of less than a warp, around a pack, and of more columns than a thread has packs at first; parts that
// are whole and one that is not.
TEST_P(RmsNormKernel, RoundsLikeTheComposedForm) {
  for (const std::int64_t width : {1, 7, 8, 31, 64, 300, 2056}) {
    for (const std::int64_t offset : {0, 1}) {
      for (const bool adds : {false, true}) {
        SCOPED_TRACE(std::to_string(width) + ", offset " + std::to_string(offset));
        expect_like_composed(width == 64 ? 37 : 3, width, adds, offset);
      }
    }
  }
}

TEST_P(RmsNormKernel, TakesTheWidestRows) { expect_like_composed(1, cuda::kNormMaxWidth, true, 1); }

TEST_P(RmsNormKernel, OfNoRows) {
  const Tensor none = random({0, 8}), weight = random({8});
  EXPECT_EQ(backward(none, forward(none, {}, weight, 0), weight, {}, 0).d_weight.numel(), 0);
}

INSTANTIATE_TEST_SUITE_P(Dtypes, RmsNormKernel,
                         testing::Values(at::kHalf, at::kBFloat16, at::kFloat, at::kDouble));

TEST(RmsNormKernelFrozen, LeavesTheGradientOfAFrozenWeight) {
  const Tensor x = at::randn({3, 40}), weight = at::randn({40}), d_y = at::randn({3, 40});
  const RmsNormed normed = forward(x, {}, weight, 0);
  const Tensor d_x = backward(d_y, normed, weight, {}, 0, /*weight_needs=*/false).d_x;
  EXPECT_TRUE(at::equal(d_x, backward(d_y, normed, weight, {}, 0).d_x));
}

TEST(RmsNormKernelWide, RefusesWiderRows) {
  EXPECT_EQ(cuda::launch_rms_norm_backward(cuda::FloatType::kFloat32, nullptr, nullptr, nullptr, nullptr,
                                           nullptr, nullptr, nullptr, 1, cuda::kNormMaxWidth + 1, nullptr),
            cudaErrorInvalidValue);
}

}  // namespace
}  // namespace ddro::ops
