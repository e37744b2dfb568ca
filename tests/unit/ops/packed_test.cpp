// Products with packed weights against the same products with their numbers.
#include "ddro/ops/packed.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "ddro/base/gguf_blocks.h"
#include "ddro/ops/linear.h"
#include "ddro/ops/low_rank_linear.h"
#include "unit/ops/gradcheck.h"

namespace ddro::ops {
namespace {

using Tensors = std::vector<Tensor>;

constexpr std::int64_t kRows = 5, kBlocks = 2, kRank = 3, kTokens = 7;
constexpr BlockType kPacked[] = {BlockType::kQ4_0, BlockType::kQ4_1, BlockType::kQ5_0, BlockType::kQ5_1,
                                 BlockType::kQ8_0, BlockType::kQ4_K, BlockType::kQ5_K, BlockType::kQ6_K};

Tensor random(at::IntArrayRef shape, at::ScalarType dtype = at::kDouble) {
  return at::randn(shape, at::TensorOptions(at::kDouble)).to(dtype);
}

// Random blocks; the halves that scale them are small and finite whatever their lower bits are.
Tensor random_rows(BlockType type, std::int64_t rows = kRows) {
  const auto bytes = static_cast<std::int64_t>(block_format(type).bytes);
  const Tensor blocks = at::randint(0, 256, {rows, kBlocks, bytes}, at::TensorOptions(at::kByte));
  const std::int64_t first = type == BlockType::kQ6_K ? 208 : 0;
  for (std::int64_t high = first + 1; high < std::min<std::int64_t>(first + 4, bytes); high += 2)
    blocks.select(2, high).fill_(0x1C);
  return blocks;
}

class PackedWeights : public testing::TestWithParam<BlockType> {
 protected:
  void SetUp() override { at::manual_seed(11); }
};

TEST_P(PackedWeights, TellTheirTypeByTheirBytes) {
  const BlockFormat& format = block_format(GetParam());
  const Tensor packed = random_rows(GetParam());
  EXPECT_TRUE(is_packed(packed));
  EXPECT_EQ(shape_of_numbers(packed),
            (std::vector<std::int64_t>{kRows, kBlocks * static_cast<std::int64_t>(format.numbers)}));
}

TEST_P(PackedWeights, UnpackRowByRow) {
  const Tensor packed = random_rows(GetParam(), /*rows=*/300);
  std::vector<float> expected(static_cast<size_t>(300 * kBlocks) * block_format(GetParam()).numbers);
  unpack_blocks(GetParam(), {static_cast<const std::byte*>(packed.const_data_ptr()), packed.nbytes()},
                expected);
  const Tensor numbers = numbers_of(packed, at::kFloat);
  EXPECT_TRUE(at::isfinite(numbers).all().item<bool>());
  EXPECT_TRUE(at::equal(numbers.flatten(), at::from_blob(expected.data(), {numbers.numel()})));
}

TEST_P(PackedWeights, ComeInPartsToo) {
  constexpr std::int64_t kNumbersAPart = 1 << 20;
  const auto width = kBlocks * static_cast<std::int64_t>(block_format(GetParam()).numbers);
  const Tensor packed = random_rows(GetParam(), kNumbersAPart / width + kRows);
  Tensors parts;
  for_parts_of(packed, at::kFloat, [&](std::int64_t first, const Tensor& part_ND) {
    EXPECT_EQ(first, parts.empty() ? 0 : parts[0].size(0));
    parts.push_back(part_ND.clone());
  });
  EXPECT_EQ(parts.size(), 2u);
  EXPECT_TRUE(at::equal(at::cat(parts), numbers_of(packed, at::kFloat)));
}

TEST_P(PackedWeights, TakeTheSameMemoryForEachProduct) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const Tensor first = numbers_for_product(random_rows(GetParam()), dtype);
    const Tensor packed = random_rows(GetParam());
    const Tensor second = numbers_for_product(packed, dtype);
    EXPECT_EQ(second.const_data_ptr(), first.const_data_ptr());
    EXPECT_TRUE(at::equal(second, numbers_of(packed, dtype)));
  }
}

// What a function gives of leaves, and their gradients.
Tensors outcome(const std::function<Tensor(const Tensors&)>& function, const Tensors& leaves) {
  Tensors own;
  for (const Tensor& leaf : leaves) own.push_back(leaf.detach().clone().requires_grad_());
  const Tensor y = function(own);
  (y * at::cos(at::arange(y.numel(), y.options()).view(y.sizes()))).sum().backward();
  Tensors results{y.detach()};
  for (const Tensor& leaf : own) results.push_back(leaf.grad());
  return results;
}

void expect_products_of_its_numbers(const Tensor& stored, at::ScalarType dtype) {
  const std::int64_t width = shape_of_numbers(stored)[1];
  const Tensor bias = random({kRows}, dtype);
  const Tensors leaves = {random({kTokens, width}, dtype), random({kTokens, width}, dtype),
                          random({kRank, width}, dtype), random({kRows, kRank}, dtype)};
  const std::function<Tensor(const Tensors&, const Tensor&)> products[] = {
      [&](const Tensors& x, const Tensor& w) {
        return linear(x[0], w, bias) + 0 * (x[1].sum() + x[2].sum() + x[3].sum());
      },
      [&](const Tensors& x, const Tensor& w) {
        return swiglu_linear(x[0], x[1], w, bias) + 0 * (x[2].sum() + x[3].sum());
      },
      [&](const Tensors& x, const Tensor& w) {
        return low_rank_linear(x[0], w, bias, {x[2], x[3], 0.5}) + 0 * x[1].sum();
      },
      [&](const Tensors& x, const Tensor& w) {
        return low_rank_swiglu_linear(x[0], x[1], w, bias, {x[2], x[3], 0.5});
      }};
  for (const auto& product : products) {
    const auto of = [&](const Tensor& weight) {
      return outcome([&](const Tensors& x) { return product(x, weight); }, leaves);
    };
    const Tensors got = of(stored), expected = of(numbers_of(stored, dtype));
    for (size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(at::equal(got[i], expected[i])) << i;
  }
}

TEST_P(PackedWeights, GiveTheSameBitsAsTheirNumbers) {
  const Tensor packed = random_rows(GetParam());
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16})
    expect_products_of_its_numbers(packed, dtype);
}

INSTANTIATE_TEST_SUITE_P(Types, PackedWeights, testing::ValuesIn(kPacked),
                         [](const auto& each) { return std::string(block_format(each.param).name); });

TEST(WeightsOfAShorterType, GiveTheSameBitsAsTheirNumbers) {
  at::manual_seed(13);
  for (const auto& [stored, dtype] : {std::pair(at::kBFloat16, at::kFloat),
                                      {at::kHalf, at::kFloat},
                                      {at::kBFloat16, at::kDouble},
                                      {at::kFloat, at::kDouble}})
    expect_products_of_its_numbers(random({kRows, 96}, stored), dtype);
}

TEST(PackedGradients, EqualCentralDifferences) {
  at::manual_seed(12);
  const Tensor packed = random_rows(BlockType::kQ8_0);
  const auto leaf = [](at::IntArrayRef shape) { return random(shape).requires_grad_(); };
  test::expect_gradients([&](const auto& x) { return ops::linear(x[0], packed, {}); }, {leaf({2, 64})});
  test::expect_gradients(
      [&](const auto& x) {
        return low_rank_linear(x[0], packed, {}, {x[1], x[2], 0.5});
      },
      {leaf({2, 64}), leaf({2, 64}), leaf({kRows, 2})});
  test::expect_gradients(
      [&](const auto& x) {
        return low_rank_swiglu_linear(x[0], x[1], packed, {}, {x[2], x[3], 0.5});
      },
      {leaf({2, 64}), leaf({2, 64}), leaf({2, 64}), leaf({kRows, 2})});
}

}  // namespace
}  // namespace ddro::ops
