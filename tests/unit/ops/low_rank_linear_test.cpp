// Products with a low-rank addition against the product with the sum itself.
#include "ddro/ops/low_rank_linear.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "ddro/base/error.h"
#include "unit/ops/gradcheck.h"

namespace ddro::ops {
namespace {

Tensor random(at::IntArrayRef shape, at::ScalarType dtype = at::kDouble) {
  return at::randn(shape, at::TensorOptions(at::kDouble)).to(dtype);
}

double relative_error(const Tensor& got, const Tensor& expected) {
  return ((got.to(at::kDouble) - expected).norm() / expected.norm()).item<double>();
}

constexpr double kScale = 1.75;

// The sizes of a product: tokens, inputs, outputs, rank.
struct Sizes {
  std::int64_t t, d, e, r;
};

class LowRanks : public testing::TestWithParam<Sizes> {
 protected:
  void SetUp() override { at::manual_seed(8); }
};

// Composed: the definition that the fused backward is held to.
Tensor composed(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& a, const Tensor& b) {
  return at::matmul(x, (weight + kScale * at::matmul(b, a)).t()) + bias;
}

Tensor gated(const Tensor& gate, const Tensor& up) { return at::silu(gate) * up; }

// Values, and the gradients of everything that has one, of ours and the composed form.
void expect_equal(const std::function<Tensor(const std::vector<Tensor>&)>& ours,
                  const std::function<Tensor(const std::vector<Tensor>&)>& theirs,
                  const std::vector<Tensor>& leaves, double tolerance) {
  const auto run = [&](const auto& function, at::ScalarType dtype) {
    std::vector<Tensor> own;
    for (const Tensor& leaf : leaves) own.push_back(leaf.to(dtype).detach().clone().requires_grad_());
    const Tensor y = function(own);
    (y * at::cos(at::arange(y.numel(), y.options()).view(y.sizes()))).sum().backward();
    std::vector<Tensor> results{y.detach()};
    for (const Tensor& leaf : own) results.push_back(leaf.grad());
    return results;
  };
  const auto got = run(ours, leaves.front().scalar_type());
  const auto expected = run(theirs, at::kDouble);
  for (size_t i = 0; i < got.size(); ++i) EXPECT_LT(relative_error(got[i], expected[i]), tolerance) << i;
}

TEST_P(LowRanks, EqualTheProductWithTheSum) {
  const auto [t, d, e, r] = GetParam();
  const Tensor weight = random({e, d}), bias = random({e});
  for (const auto& [dtype, tolerance] : {std::pair(at::kDouble, 1e-13), std::pair(at::kFloat, 5e-6)}) {
    const Tensor w = weight.to(dtype), b = bias.to(dtype);
    expect_equal(
        [&](const auto& x) {
          return low_rank_linear(x[0], w, b, {x[1], x[2], kScale});
        },
        [&](const auto& x) { return composed(x[0], weight, bias, x[1], x[2]); },
        {random({t, d}, dtype), random({r, d}, dtype), random({e, r}, dtype)}, tolerance);
    expect_equal(
        [&](const auto& x) {
          return low_rank_swiglu_linear(x[0], x[1], w, b, {x[2], x[3], kScale});
        },
        [&](const auto& x) { return composed(gated(x[0], x[1]), weight, bias, x[2], x[3]); },
        {random({t, d}, dtype), random({t, d}, dtype), random({r, d}, dtype), random({e, r}, dtype)},
        tolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, LowRanks,
                         testing::Values(Sizes{1, 1, 1, 1}, Sizes{3, 31, 33, 2}, Sizes{32, 33, 31, 8},
                                         Sizes{5, 4, 3, 7}),
                         [](const auto& each) {
                           const Sizes& s = each.param;
                           return "T" + std::to_string(s.t) + "D" + std::to_string(s.d) + "E" +
                                  std::to_string(s.e) + "R" + std::to_string(s.r);
                         });

TEST(LowRankGradients, EqualCentralDifferences) {
  at::manual_seed(9);
  const auto leaf = [](at::IntArrayRef shape) { return random(shape).requires_grad_(); };
  const Tensor weight = random({5, 4});
  test::expect_gradients(
      [&](const auto& x) {
        return low_rank_linear(x[0], weight, {}, {x[1], x[2], kScale});
      },
      {leaf({3, 4}), leaf({2, 4}), leaf({5, 2})});
  test::expect_gradients(
      [&](const auto& x) {
        return low_rank_swiglu_linear(x[0], x[1], weight, {}, {x[2], x[3], kScale});
      },
      {leaf({3, 4}), leaf({3, 4}), leaf({2, 4}), leaf({5, 2})});
}

// As with a bfloat16 model: float32 accumulators behind bfloat16 factors, over two backward passes.
TEST(LowRankAccumulation, AddsUpInPlaceInFloat32) {
  at::manual_seed(10);
  const Tensor x = random({6, 33}, at::kBFloat16), weight = random({31, 33}, at::kBFloat16);
  const Tensor a = random({4, 33}, at::kBFloat16).requires_grad_();
  const Tensor b = random({31, 4}, at::kBFloat16).requires_grad_();
  for (const Tensor& leaf : {a, b}) leaf.mutable_grad() = at::zeros(leaf.sizes(), at::kFloat);
  const Tensor buffer = a.grad();
  for (int pass = 0; pass < 2; ++pass) low_rank_linear(x, weight, {}, {a, b, kScale}).sum().backward();
  EXPECT_TRUE(a.grad().is_same(buffer));
  const Tensor wide = x.to(at::kDouble), ones = at::ones({6, 31}, at::kDouble);
  const Tensor d_low = kScale * at::matmul(ones, b.detach().to(at::kDouble));
  EXPECT_LT(relative_error(a.grad(), 2 * at::matmul(d_low.t(), wide)), 2e-2);
  EXPECT_LT(
      relative_error(b.grad(),
                     2 * kScale * at::matmul(ones.t(), at::matmul(wide, a.detach().to(at::kDouble).t()))),
      2e-2);
}

TEST(LowRankChecks, AFrozenWeightAndOneRowAToken) {
  const LowRank addition{random({2, 4}), random({5, 2}), 1};
  EXPECT_THROW(low_rank_linear(random({3, 4}), random({5, 4}).requires_grad_(), {}, addition), Error);
  EXPECT_THROW(low_rank_linear(random({2, 3, 4}), random({5, 4}), {}, addition), Error);
}

}  // namespace
}  // namespace ddro::ops
