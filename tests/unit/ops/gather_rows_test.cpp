#include "ddro/ops/gather_rows.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/cuda.h>

#include <vector>

#include "ddro/base/error.h"

namespace ddro::ops {
namespace {

const std::vector<std::int64_t> kRows = {2, 1, 2, 3, 2, 4, 4, 2};
constexpr std::int64_t kNumRows = 5;

struct Outcome {
  Tensor y, d_x;
};
Outcome run(const Tensor& x, const Tensor& d_y, at::Device device) {
  const Tensor leaf = x.to(device).detach().requires_grad_(true);
  const Tensor y = gather_rows(leaf, make_row_gather(kRows, kNumRows, device));
  return {y.detach().cpu(), torch::autograd::grad({y}, {leaf}, {d_y.to(device)})[0].cpu()};
}

TEST(GatherRows, IsIndexSelectAndItsGradient) {
  at::manual_seed(1);
  const Tensor x = at::randn({kNumRows, 3, 4}), d_y = at::randn({8, 3, 4});
  const Outcome got = run(x, d_y, at::kCPU);
  const Tensor leaf = x.detach().requires_grad_(true);
  const Tensor y = leaf.index_select(0, at::tensor(kRows, at::kLong));
  EXPECT_TRUE(at::equal(got.y, y));
  EXPECT_TRUE(at::equal(got.d_x, torch::autograd::grad({y}, {leaf}, {d_y})[0]));
}

// 256 ones and what bfloat16 cannot add to them one by one.
TEST(GatherRows, AddsHalfTypesInFloat32) {
  const std::vector<std::int64_t> rows(300, 0);
  const Tensor leaf = at::zeros({1, 1}, at::kBFloat16).requires_grad_(true);
  const Tensor y = gather_rows(leaf, make_row_gather(rows, 1, at::kCPU));
  y.sum().backward();
  EXPECT_EQ(leaf.grad().item<double>(), 300);
}

TEST(GatherRows, ChecksItsRows) {
  EXPECT_THROW(make_row_gather(kRows, 4, at::kCPU), Error);
  EXPECT_THROW(gather_rows(at::zeros({4, 2}), make_row_gather(kRows, kNumRows, at::kCPU)), Error);
}

TEST(GatherRowsCuda, GivesTheBitsOfTheCpu) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device";
  at::manual_seed(2);
  for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf, at::kFloat, at::kDouble}) {
    const Tensor x = at::randn({kNumRows, 2, 64}).to(dtype), d_y = at::randn({8, 2, 64}).to(dtype);
    const Outcome there = run(x, d_y, at::kCUDA), here = run(x, d_y, at::kCPU);
    EXPECT_TRUE(at::equal(there.y, here.y)) << dtype;
    EXPECT_TRUE(at::equal(there.d_x, here.d_x)) << dtype;
  }
}

}  // namespace
}  // namespace ddro::ops
