#include "train/sum_of_bits.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "unit/train/flip_bit.h"

namespace ddro::train {
namespace {

TEST(SumOfBits, SeesEveryBitOfEveryType) {
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kBFloat16, at::kByte, at::kLong}) {
    const Tensor tensor = (at::randn({7, 11}, at::kDouble) * 50).abs().to(type);
    const std::uint64_t before = sum_of_bits(tensor);
    for (std::int64_t bit = 0; bit < static_cast<std::int64_t>(tensor.nbytes()) * 8; ++bit) {
      test::flip_bit(tensor, bit);
      EXPECT_NE(sum_of_bits(tensor), before) << at::toString(type) << " bit " << bit;
      test::flip_bit(tensor, bit);
    }
    EXPECT_EQ(sum_of_bits(tensor), before);
  }
}

// Long enough for several threads; as LibTorch adds the same integers up.
TEST(SumOfBits, OfAWholeIsThatOfItsParts) {
  const Tensor whole_N = at::randn({300'001});
  EXPECT_EQ(sum_of_bits(whole_N),
            static_cast<std::uint64_t>(whole_N.view(at::kInt).sum(at::kLong).item<std::int64_t>()));
  EXPECT_EQ(sum_of_bits(whole_N),
            sum_of_bits(whole_N.narrow(0, 0, 123)) + sum_of_bits(whole_N.narrow(0, 123, 300'001 - 123)));
}

}  // namespace
}  // namespace ddro::train
