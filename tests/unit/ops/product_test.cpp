// Products of each dtype, against float64: sums are not rounded to the operands' dtype before their end.
#include "ddro/ops/product.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "ddro/base/error.h"
#include "ddro/ops/packed.h"

namespace ddro::ops {
namespace {

constexpr std::int64_t kRows = 7, kTerms = 512, kColumns = 33;

Tensor random(at::IntArrayRef shape, at::ScalarType dtype) {
  return at::randn(shape, at::TensorOptions(at::kDouble)).to(dtype);
}

// How far `got` is from `exact`, in halves of its dtype's spacing at the exact numbers' size.
double roundings(const Tensor& got, const Tensor& exact) {
  const double half = got.scalar_type() == at::kBFloat16 ? 0x1p-9
                      : got.scalar_type() == at::kFloat  ? 0x1p-24
                                                         : 0x1p-53;
  const double size = exact.abs().max().item<double>();
  return (got.to(at::kDouble) - exact).abs().max().item<double>() / (size * 2 * half);
}

struct ProductCase {
  at::ScalarType dtype;
  double roundings;  // one for the result, the rest for sums in a float32 that is no wider than it
};

class Products : public testing::TestWithParam<ProductCase> {
 protected:
  void SetUp() override { at::manual_seed(11); }
  at::ScalarType dtype() const { return GetParam().dtype; }
};

TEST_P(Products, AreRoundedOnce) {
  const Tensor a = random({kRows, kTerms}, dtype()), b = random({kTerms, kColumns}, dtype());
  const Tensor c = product(a, b);
  EXPECT_EQ(c.scalar_type(), dtype());
  EXPECT_LE(roundings(c, at::mm(a.to(at::kDouble), b.to(at::kDouble))), GetParam().roundings);
}

TEST_P(Products, TakeATransposedOperand) {
  const Tensor a = random({kTerms, kRows}, dtype()), b = random({kColumns, kTerms}, dtype());
  EXPECT_LE(roundings(product(a.t(), b.t()), at::mm(a.t().to(at::kDouble), b.t().to(at::kDouble))),
            GetParam().roundings);
}

TEST_P(Products, WithAWeightAndABiasAreRoundedOnce) {
  const Tensor x = random({kRows, kTerms}, dtype()), weight = random({kColumns, kTerms}, dtype()),
               bias = random({kColumns}, dtype());
  const Tensor y = linear_product(x, weight, bias);
  EXPECT_EQ(y.scalar_type(), dtype());
  EXPECT_LE(roundings(y, at::linear(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble))),
            GetParam().roundings);
}

TEST_P(Products, AddUpInTheirOwnDtype) {
  const Tensor a = random({kRows, kTerms}, dtype()), b = random({kTerms, kColumns}, dtype());
  const Tensor start = random({kRows, kColumns}, dtype()), sum = start.clone();
  add_product(sum, a, b);
  EXPECT_LE(roundings(sum, at::addmm(start.to(at::kDouble), a.to(at::kDouble), b.to(at::kDouble))),
            2 * GetParam().roundings);
}

INSTANTIATE_TEST_SUITE_P(Dtypes, Products,
                         testing::Values(ProductCase{at::kBFloat16, 1}, ProductCase{at::kFloat, 20},
                                         ProductCase{at::kDouble, 20}),
                         [](const auto& entry) { return std::string(c10::toString(entry.param.dtype)); });

TEST(ShortProducts, AddUpInFloat32WithinTheirOwnRounding) {
  at::manual_seed(12);
  const Tensor a = random({kRows, kTerms}, at::kBFloat16), b = random({kTerms, kColumns}, at::kBFloat16);
  const Tensor sum = at::zeros({kRows, kColumns});
  add_product(sum, a, b);
  EXPECT_LE(roundings(sum.to(at::kBFloat16), at::mm(a.to(at::kDouble), b.to(at::kDouble))), 2);
  // Nothing of it is rounded to bfloat16.
  EXPECT_LE(roundings(sum, at::mm(a.to(at::kDouble), b.to(at::kDouble))), 20);
}

TEST(WideProducts, OfBFloat16HaveAFloat32Result) {
  if (!has_wide_product(at::kBFloat16, at::kCPU)) {
    EXPECT_THROW(
        wide_product(at::empty({1, 1}), at::ones({1, 1}, at::kBFloat16), at::ones({1, 1}, at::kBFloat16)),
        Error);
    return;
  }
  at::manual_seed(14);
  // As they lie, transposed, and parts of other matrices by rows, by columns, and by neither.
  const auto forms = [](std::int64_t rows, std::int64_t columns) {
    return std::vector<Tensor>{random({rows, columns}, at::kBFloat16),
                               random({columns, rows}, at::kBFloat16).t(),
                               random({rows, columns + 3}, at::kBFloat16).narrow(1, 2, columns),
                               random({columns, rows + 5}, at::kBFloat16).narrow(1, 1, rows).t(),
                               random({rows, columns, 2}, at::kBFloat16).select(2, 1)};
  };
  for (const auto& [rows, terms, columns] :
       {std::tuple(kRows, kTerms, kColumns), std::tuple(std::int64_t{1}, std::int64_t{8}, std::int64_t{1}),
        std::tuple(std::int64_t{3}, std::int64_t{1}, std::int64_t{2}),
        std::tuple(std::int64_t{3}, std::int64_t{0}, std::int64_t{2}),
        std::tuple(std::int64_t{0}, std::int64_t{4}, std::int64_t{2})}) {
    for (const Tensor& a : forms(rows, terms)) {
      for (const Tensor& b : forms(terms, columns)) {
        const Tensor whole = at::full({rows, columns + 4}, 7.0f), result = whole.narrow(1, 4, columns);
        wide_product(result, a, b);
        const Tensor exact = at::mm(a.to(at::kDouble), b.to(at::kDouble));
        EXPECT_TRUE(at::allclose(result.to(at::kDouble), exact, 1e-5, 1e-5)) << rows << " x " << columns;
        EXPECT_TRUE(whole.narrow(1, 0, 4).eq(7).all().item<bool>());
      }
    }
  }
}

TEST(ShortProducts, TakePackedWeights) {
  at::manual_seed(13);
  const Tensor packed = pack_q8_0(random({kColumns, kTerms}, at::kFloat));
  const Tensor numbers = numbers_of(packed, at::kDouble);
  for (const at::ScalarType dtype : {at::kBFloat16, at::kFloat}) {
    const Tensor x = random({kRows, kTerms}, dtype), d_y = random({kRows, kColumns}, dtype);
    const double limit = dtype == at::kBFloat16 ? 2 : 20;  // the weight's numbers are rounded, too
    EXPECT_LE(roundings(linear_product(x, packed), at::linear(x.to(at::kDouble), numbers)), limit);
    EXPECT_LE(roundings(product(d_y, packed), at::mm(d_y.to(at::kDouble), numbers)), limit);
  }
}

TEST(ProductType, IsTheOperandsButForBFloat16OnACpuWithoutIt) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kHalf})
    EXPECT_EQ(product_type(dtype, at::kCPU), dtype);
  EXPECT_EQ(product_type(at::kBFloat16, at::kCPU), cpu_multiplies_bfloat16() ? at::kBFloat16 : at::kFloat);
  EXPECT_EQ(product_type(at::kBFloat16, at::Device(at::kCUDA, 0)), at::kBFloat16);
}

}  // namespace
}  // namespace ddro::ops
