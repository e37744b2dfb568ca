// rms_norm and rotary against scalar code, and their gradients against central differences.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>

#include "ddro/ops/rms_norm.h"
#include "ddro/ops/rotary.h"
#include "unit/ops/gradcheck.h"

namespace ddro::ops {
namespace {

Tensor random(at::IntArrayRef shape, at::ScalarType dtype = at::kDouble) {
  return at::randn(shape, at::TensorOptions(at::kDouble)).to(dtype);
}

class Elementwise : public testing::TestWithParam<std::int64_t> {
 protected:
  void SetUp() override { at::manual_seed(3); }
};

TEST_P(Elementwise, RmsNorm) {
  const std::int64_t width = GetParam();
  const Tensor x = random({5, width}), weight = random({width});
  for (const auto& [dtype, tolerance] : {std::pair(at::kDouble, 1e-14), std::pair(at::kFloat, 2e-6)}) {
    const Tensor y = rms_norm(x.to(dtype), weight.to(dtype), 1e-3).to(at::kDouble);
    for (std::int64_t row = 0; row < 5; ++row) {
      double squares = 0;
      for (std::int64_t i = 0; i < width; ++i) squares += std::pow(x[row][i].item<double>(), 2);
      const double scale = 1 / std::sqrt(squares / static_cast<double>(width) + 1e-3);
      for (std::int64_t i = 0; i < width; ++i) {
        EXPECT_NEAR(y[row][i].item<double>(), x[row][i].item<double>() * scale * weight[i].item<double>(),
                    tolerance * 4);
      }
    }
  }
}

TEST_P(Elementwise, Rotary) {
  const std::int64_t half = GetParam();
  const Tensor x = random({3, 2, 2 * half}), angle = random({3, 1, half}).repeat({1, 1, 2});
  const Tensor y = rotary(x, angle.cos(), angle.sin());
  for (std::int64_t t = 0; t < 3; ++t) {
    for (std::int64_t head = 0; head < 2; ++head) {
      for (std::int64_t i = 0; i < half; ++i) {
        const double a = x[t][head][i].item<double>(), b = x[t][head][half + i].item<double>();
        const double c = std::cos(angle[t][0][i].item<double>()), s = std::sin(angle[t][0][i].item<double>());
        EXPECT_NEAR(y[t][head][i].item<double>(), a * c - b * s, 1e-14);
        EXPECT_NEAR(y[t][head][half + i].item<double>(), b * c + a * s, 1e-14);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Widths, Elementwise, testing::Values(1, 31, 32, 33));

TEST(ElementwiseGradients, EqualCentralDifferences) {
  at::manual_seed(5);
  const auto leaf = [](at::IntArrayRef shape) { return random(shape).requires_grad_(); };
  test::expect_gradients([](const auto& x) { return rms_norm(x[0], x[1], 1e-3); },
                         {leaf({3, 2, 5}), leaf({5})});
  const Tensor angle = random({3, 1, 2}).repeat({1, 1, 2});
  test::expect_gradients([&](const auto& x) { return rotary(x[0], angle.cos(), angle.sin()); },
                         {leaf({3, 2, 4})});
}

TEST(RmsNormHalf, NormalisesInFloatThenRoundsThenScales) {
  at::manual_seed(6);
  const Tensor x = random({4, 33}, at::kBFloat16), weight = random({33}, at::kBFloat16);
  const Tensor wide = x.to(at::kFloat);
  const Tensor normed = (wide * (wide.square().mean(-1, true) + 1e-5).rsqrt()).to(at::kBFloat16);
  const Tensor difference = (rms_norm(x, weight, 1e-5) - normed * weight).to(at::kFloat).abs();
  // The sum of squares may round differently, which moves a value across a bfloat16 boundary now and then.
  EXPECT_LE(difference.ne(0).sum().item<std::int64_t>(), 2);
  EXPECT_LE(difference.max().item<float>(), 0.05f);
}

TEST(RmsNormFrozen, GivesNoGradientToAFrozenWeight) {
  const Tensor x = random({2, 3}).requires_grad_(), weight = random({3});
  rms_norm(x, weight, 1e-5).sum().backward();
  EXPECT_TRUE(x.grad().defined());
  EXPECT_FALSE(weight.grad().defined());
}

}  // namespace
}  // namespace ddro::ops
