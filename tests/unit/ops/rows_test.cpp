// Rows in another order: values by index, gradients by central differences.
#include "ddro/ops/rows.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "ddro/base/error.h"
#include "unit/ops/gradcheck.h"

namespace ddro::ops {
namespace {

Tensor keys() { return at::tensor({2, 0, 2, 1, 0, 2}, at::kLong); }

TEST(SortRows, KeepsTheOrderOfEqualKeys) {
  const RowOrder order = sort_rows(keys());
  EXPECT_TRUE(at::equal(order.order_R, at::tensor({1, 4, 3, 0, 2, 5}, at::kLong)));
  EXPECT_TRUE(at::equal(order.places_R, at::tensor({3, 0, 4, 2, 1, 5}, at::kLong)));
}

TEST(TakeRows, GivesCopiesInTheOrderAskedFor) {
  const Tensor x = at::tensor({10.0, 11.0, 20.0, 21.0, 30.0, 31.0}).view({3, 2});
  const Tensor rows = take_rows(x, sort_rows(keys()), 2);
  EXPECT_TRUE(at::equal(rows.select(1, 0), at::tensor({10.0, 30.0, 20.0, 10.0, 20.0, 30.0})));
  const RowOrder back = sort_rows(keys()).inverse();
  EXPECT_TRUE(at::equal(take_rows(rows, back), x.repeat_interleave(2, 0)));
}

TEST(TakeRows, GradientsEqualCentralDifferences) {
  at::manual_seed(1);
  const auto leaf = [](at::IntArrayRef shape) {
    return at::randn(shape, at::TensorOptions(at::kDouble)).requires_grad_();
  };
  const RowOrder order = sort_rows(keys());
  test::expect_gradients([&](const auto& x) { return take_rows(x[0], order, 2); }, {leaf({3, 4})});
  test::expect_gradients([&](const auto& x) { return take_rows(x[0], order.inverse()); }, {leaf({6, 4})});
}

TEST(TakeRows, ChecksTheOrder) { EXPECT_THROW(take_rows(at::zeros({3, 2}), sort_rows(keys())), Error); }

}  // namespace
}  // namespace ddro::ops
