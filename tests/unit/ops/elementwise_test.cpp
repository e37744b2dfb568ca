// rms_norm and rotary against scalar code, and their gradients against central differences; on a device these
// and swiglu_linear against the CPU.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "ddro/ops/linear.h"
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
  // What follows takes the sum, its norm, or both.
  const auto parts = [](const auto& x) { return add_rms_norm(x[0], x[1], x[2], 1e-3); };
  const auto leaves = [&] { return std::vector{leaf({3, 2, 5}), leaf({3, 2, 5}), leaf({5})}; };
  test::expect_gradients([&](const auto& x) { return parts(x).normed; }, leaves());
  test::expect_gradients(
      [&](const auto& x) {
        const NormedSum both = parts(x);
        return both.normed * both.sum;
      },
      leaves());
  const Tensor weight = random({5}).requires_grad_();
  test::expect_gradients([&](const auto& x) { return add_rms_norm(x[0], x[1], weight, 1e-3).sum; },
                         {leaf({3, 2, 5}), leaf({3, 2, 5})});
  EXPECT_FALSE(weight.grad().defined());
  const Tensor angle = random({3, 1, 2}).repeat({1, 1, 2});
  test::expect_gradients([&](const auto& x) { return rotary(x[0], angle.cos(), angle.sin()); },
                         {leaf({3, 2, 4})});
}

TEST(RmsNormHalf, RoundsOnce) {
  at::manual_seed(6);
  const Tensor x = random({4, 33}, at::kBFloat16), weight = random({33}, at::kBFloat16);
  const Tensor wide = x.to(at::kDouble);
  const Tensor exact = wide * (wide.square().mean(-1, true) + 1e-5).rsqrt() * weight.to(at::kDouble);
  EXPECT_TRUE(at::equal(rms_norm(x, weight, 1e-5), exact.to(at::kFloat).to(at::kBFloat16)));
}

TEST(RmsNormFrozen, GivesNoGradientToAFrozenWeight) {
  const Tensor x = random({2, 3}).requires_grad_(), weight = random({3});
  rms_norm(x, weight, 1e-5).sum().backward();
  EXPECT_TRUE(x.grad().defined());
  EXPECT_FALSE(weight.grad().defined());
}

// Value and gradients of op(inputs), the sum of the value's product with `d_y`.
std::vector<Tensor> with_gradients(const std::function<Tensor(const std::vector<Tensor>&)>& op,
                                   const std::vector<Tensor>& inputs, const Tensor& d_y,
                                   at::TensorOptions options) {
  std::vector<Tensor> leaves, results;
  for (const Tensor& input : inputs) leaves.push_back(input.to(options).clone().requires_grad_());
  results.push_back(op(leaves));
  results[0].backward(d_y.to(options));
  for (const Tensor& leaf : leaves) results.push_back(leaf.grad());
  for (Tensor& result : results) result = result.detach().to(at::kCPU, at::kDouble);
  return results;
}

// On the device no result is further from the one in float64 than twice what the CPU's composed form is, or a
// unit in the last place.
void expect_cuda_rounds_like_cpu(const std::function<Tensor(const std::vector<Tensor>&)>& op,
                                 const std::vector<Tensor>& inputs, const Tensor& d_y) {
  const std::pair<at::ScalarType, double> dtypes[] = {
      {at::kHalf, 0x1p-11}, {at::kBFloat16, 0x1p-8}, {at::kFloat, 0x1p-24}, {at::kDouble, 0x1p-50}};
  for (const auto& [dtype, unit] : dtypes) {
    // The same numbers in every dtype.
    std::vector<Tensor> rounded;
    for (const Tensor& input : inputs) rounded.push_back(input.to(dtype));
    const Tensor rounded_d_y = d_y.to(dtype);
    const auto exact = with_gradients(op, rounded, rounded_d_y, at::TensorOptions(at::kDouble));
    const auto composed = with_gradients(op, rounded, rounded_d_y, at::TensorOptions(dtype));
    const auto got = with_gradients(op, rounded, rounded_d_y, at::TensorOptions(at::kCUDA).dtype(dtype));
    for (size_t i = 0; i < exact.size(); ++i) {
      EXPECT_EQ(got[i].sizes(), exact[i].sizes());
      const double norm = exact[i].norm().item<double>();
      EXPECT_LE((got[i] - exact[i]).norm().item<double>(),
                2 * (composed[i] - exact[i]).norm().item<double>() + unit * norm)
          << dtype << ", result " << i;
    }
  }
}

TEST(ElementwiseCuda, RmsNormRoundsLikeTheCpu) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device";
  at::manual_seed(8);
  const auto op = [](const std::vector<Tensor>& x) { return rms_norm(x[0], x[1], 1e-5); };
  for (const std::int64_t width : {1, 31, 64, 576, 2048, 8192}) {
    SCOPED_TRACE(width);
    expect_cuda_rounds_like_cpu(op, {random({7, width}), random({width})}, random({7, width}));
    expect_cuda_rounds_like_cpu(op, {random({3, 5, width}), random({width})}, random({3, 5, width}));
  }
  expect_cuda_rounds_like_cpu(op, {random({0, 64}), random({64})}, random({0, 64}));
  expect_cuda_rounds_like_cpu(op, {random({3, 20000}), random({20000})}, random({3, 20000}));
}

TEST(ElementwiseCuda, AddRmsNormRoundsLikeTheCpu) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device";
  at::manual_seed(11);
  const auto op = [](const std::vector<Tensor>& x) {
    const NormedSum both = add_rms_norm(x[0], x[1], x[2], 1e-5);
    return at::cat({both.sum, both.normed}, -1);
  };
  for (const std::int64_t width : {1, 31, 64, 576, 2048, 8192, 20000}) {
    SCOPED_TRACE(width);
    expect_cuda_rounds_like_cpu(op, {random({70, width}), random({70, width}), random({width})},
                                random({70, 2 * width}));
  }
}

TEST(ElementwiseCuda, RotaryRoundsLikeTheCpu) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device";
  at::manual_seed(9);
  for (const std::int64_t width : {2, 20, 64, 128}) {
    for (const std::int64_t tokens : {0, 5, 1000}) {
      SCOPED_TRACE(std::to_string(tokens) + " tokens of width " + std::to_string(width));
      const Tensor angle = random({tokens, 1, width / 2}).repeat({1, 1, 2});
      const auto op = [&](const std::vector<Tensor>& x) {
        return rotary(x[0], angle.cos().to(x[0].options()), angle.sin().to(x[0].options()));
      };
      expect_cuda_rounds_like_cpu(op, {random({tokens, 9, width})}, random({tokens, 9, width}));
      // Every second head, forward and backward: not contiguous.
      const auto strided = [&](const std::vector<Tensor>& x) {
        return op({x[0].slice(1, 0, at::nullopt, 2)}).transpose(0, 1);
      };
      expect_cuda_rounds_like_cpu(strided, {random({tokens, 9, width})}, random({5, tokens, width}));
    }
  }
}

TEST(ElementwiseCuda, SwiGluLinearRoundsLikeTheCpu) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device";
  at::manual_seed(10);
  const auto op = [](const std::vector<Tensor>& x) { return swiglu_linear(x[0], x[1], x[2], {}); };
  for (const std::int64_t width : {1, 31, 64, 1536}) {
    for (const std::int64_t tokens : {0, 1, 300}) {
      SCOPED_TRACE(std::to_string(tokens) + " tokens of width " + std::to_string(width));
      expect_cuda_rounds_like_cpu(op, {random({tokens, width}), random({tokens, width}), random({33, width})},
                                  random({tokens, 33}));
    }
  }
}

}  // namespace
}  // namespace ddro::ops
