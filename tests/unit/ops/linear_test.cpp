// Products with weights: values in scalar code, gradients by central differences, and where gradients go.
#include "ddro/ops/linear.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

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

class Linears : public testing::TestWithParam<std::int64_t> {
 protected:
  void SetUp() override { at::manual_seed(3); }
};

TEST_P(Linears, SwiGluLinearEqualsScalarCode) {
  const std::int64_t width = GetParam();
  const Tensor gate = random({3, width}), up = random({3, width}), weight = random({2, width}),
               bias = random({2});
  const Tensor y = swiglu_linear(gate, up, weight, bias);
  for (std::int64_t row = 0; row < 3; ++row) {
    for (std::int64_t out = 0; out < 2; ++out) {
      double sum = bias[out].item<double>();
      for (std::int64_t i = 0; i < width; ++i) {
        const double g = gate[row][i].item<double>();
        sum += g / (1 + std::exp(-g)) * up[row][i].item<double>() * weight[out][i].item<double>();
      }
      EXPECT_NEAR(y[row][out].item<double>(), sum, 1e-13);
    }
  }
}

TEST_P(Linears, EmbeddingTakesRows) {
  const Tensor weight = random({GetParam() + 1, 4});
  const Tensor ids = at::tensor({GetParam(), std::int64_t{0}, GetParam()}, at::kLong);
  const Tensor rows = ops::embedding(weight, ids);
  for (std::int64_t t = 0; t < 3; ++t) EXPECT_TRUE(at::equal(rows[t], weight[ids[t].item<std::int64_t>()]));
}

INSTANTIATE_TEST_SUITE_P(Widths, Linears, testing::Values(1, 31, 32, 33));

TEST(LinearGradients, EqualCentralDifferences) {
  at::manual_seed(5);
  const auto leaf = [](at::IntArrayRef shape) { return random(shape).requires_grad_(); };
  test::expect_gradients([](const auto& x) { return ops::linear(x[0], x[1], x[2]); },
                         {leaf({3, 4}), leaf({5, 4}), leaf({5})});
  test::expect_gradients([](const auto& x) { return ops::linear(x[0], x[1], {}); },
                         {leaf({3, 4}), leaf({5, 4})});
  test::expect_gradients([](const auto& x) { return swiglu_linear(x[0], x[1], x[2], x[3]); },
                         {leaf({3, 4}), leaf({3, 4}), leaf({5, 4}), leaf({5})});
  const Tensor ids = at::tensor({2, 0, 2, 1, 2}, at::kLong);
  test::expect_gradients([&](const auto& x) { return ops::embedding(x[0], ids); }, {leaf({4, 3})});
}

// Two backward passes, the second with other values, into accumulators of `accumulator`'s type.
void expect_accumulation(at::ScalarType compute, at::ScalarType accumulator, double tolerance) {
  at::manual_seed(6);
  const Tensor weight = random({33, 31}, compute).requires_grad_();
  const Tensor down = random({7, 33}, compute).requires_grad_();
  const Tensor table = random({9, 31}, compute).requires_grad_();
  const Tensor ids = at::tensor({4, 0, 4, 8, 4}, at::kLong);
  std::vector<Tensor> buffers;
  for (const Tensor& leaf : {weight, down, table}) {
    buffers.push_back(at::ones(leaf.sizes(), accumulator));
    leaf.mutable_grad() = buffers.back();
  }
  std::vector<Tensor> expected;
  for (const Tensor& buffer : buffers) expected.push_back(at::ones(buffer.sizes(), at::kDouble));
  for (const double factor : {1.0, -3.0}) {
    const auto loss = [&](const Tensor& w, const Tensor& d, const Tensor& t, bool ours) {
      const Tensor x = ours ? ops::embedding(t, ids) : t.index_select(0, ids);
      const Tensor gate = ours ? ops::linear(x, w, {}) : at::linear(x, w);
      return factor * (ours ? swiglu_linear(gate, gate, d, {}) : at::linear(at::silu(gate) * gate, d)).sum();
    };
    loss(weight, down, table, true).backward();
    std::vector<Tensor> exact;
    for (const Tensor& leaf : {weight, down, table})
      exact.push_back(leaf.detach().to(at::kDouble).requires_grad_());
    loss(exact[0], exact[1], exact[2], false).backward();
    for (size_t i = 0; i < 3; ++i) expected[i] += exact[i].grad();
  }
  const Tensor leaves[] = {weight, down, table};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(leaves[i].grad().is_same(buffers[i]));
    EXPECT_EQ(buffers[i].scalar_type(), accumulator);
    EXPECT_LT(relative_error(buffers[i], expected[i]), tolerance) << i;
  }
}

TEST(LinearAccumulation, AddsUpInPlaceInFloat64) { expect_accumulation(at::kDouble, at::kDouble, 1e-14); }
TEST(LinearAccumulation, AddsUpInPlaceInFloat32) { expect_accumulation(at::kFloat, at::kFloat, 2e-6); }
TEST(LinearAccumulation, AddsUpInFloat32BehindBfloat16) {
  expect_accumulation(at::kBFloat16, at::kFloat, 2e-2);
}

// One of several weights in one tensor: its part of the gradient adds up in place, the others' stay.
TEST(LinearAccumulation, AddsUpInPlaceInAPartOfStackedWeights) {
  at::manual_seed(7);
  const Tensor stacked = random({3, 5, 4}).requires_grad_(), x = random({6, 4});
  const Tensor buffer = at::ones_like(stacked);
  stacked.mutable_grad() = buffer;
  const Tensor d_y = random({6, 5});
  for (int time = 0; time < 2; ++time) ops::linear(x, stacked.select(0, 1), {}).backward(d_y);
  EXPECT_TRUE(stacked.grad().is_same(buffer));
  Tensor expected = at::ones({3, 5, 4}, at::kDouble);
  expected.select(0, 1).add_(at::mm(d_y.t(), x), 2);
  EXPECT_LT(relative_error(buffer, expected), 1e-14);
}

TEST(LinearAccumulation, AddsUpInPlaceInAPartThatIsTransposed) {
  at::manual_seed(9);
  const Tensor stacked = random({3, 4, 5}).requires_grad_(), x = random({6, 4}), d_y = random({6, 5});
  stacked.mutable_grad() = at::ones_like(stacked);
  ops::linear(x, stacked.select(0, 2).t(), {}).backward(d_y);
  Tensor expected = at::ones({3, 4, 5}, at::kDouble);
  expected.select(0, 2).add_(at::mm(x.t(), d_y));
  EXPECT_LT(relative_error(stacked.grad(), expected), 1e-14);
}

TEST(LinearGradients, OfStackedWeightsEqualCentralDifferences) {
  at::manual_seed(8);
  test::expect_gradients([](const auto& x) { return ops::linear(x[0], x[1].select(0, 1), {}); },
                         {random({3, 4}).requires_grad_(), random({2, 5, 4}).requires_grad_()});
}

TEST(LinearFrozen, GivesNoGradientToAFrozenWeight) {
  const Tensor x = random({2, 3}).requires_grad_(), weight = random({4, 3});
  ops::linear(x, weight, {}).sum().backward();
  EXPECT_TRUE(x.grad().defined());
  EXPECT_FALSE(weight.grad().defined());
}

TEST(LinearChecks, OneRowAToken) {
  EXPECT_THROW(ops::linear(random({2, 3, 4}), random({5, 4}), {}), Error);
  EXPECT_THROW(swiglu_linear(random({4}), random({4}), random({5, 4}), {}), Error);
}

}  // namespace
}  // namespace ddro::ops
