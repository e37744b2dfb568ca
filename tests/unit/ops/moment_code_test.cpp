// The short forms of moments against tables of what they can represent, made here in float64 from their
// definition, and the laws of stochastic rounding.
#include "ddro/ops/moment_code.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <torch/cuda.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "support/expect_error.h"

namespace ddro::ops {
namespace {

constexpr std::array<MomentCode, 3> kCodes = {MomentCode::kBFloat16, MomentCode::kSignedFloat8,
                                              MomentCode::kUnsignedFloat8};

MomentPart zeros(MomentCode code, std::int64_t size, at::Device device = at::kCPU) {
  const auto options = at::TensorOptions(device);
  MomentPart part;
  part.codes_N = at::zeros({size}, options.dtype(code == MomentCode::kBFloat16 ? at::kBFloat16 : at::kByte));
  part.exponents_B = at::zeros({(size + kMomentBlock - 1) / kMomentBlock}, options.dtype(at::kByte));
  return part;
}

Tensor decoded(MomentCode code, const MomentPart& part) {
  Tensor values_N = at::empty(part.codes_N.sizes(), part.codes_N.options().dtype(at::kFloat));
  decode_moment(code, part, values_N);
  return values_N;
}

Tensor round_trip(MomentCode code, const Tensor& values_N, std::uint64_t key) {
  const MomentPart part = zeros(code, values_N.numel(), values_N.device());
  encode_moment(code, values_N, key, part);
  return decoded(code, part);
}

// Numbers over many powers of ten, of both signs where the form has them; every seventh is 0.
Tensor spread_values(MomentCode code, std::int64_t size) {
  at::manual_seed(11);
  Tensor values = at::randn({size}, at::kDouble) * at::pow(10.0, at::rand({size}, at::kDouble) * -12);
  if (code == MomentCode::kUnsignedFloat8) values = values.abs();
  values.index_put_({at::indexing::Slice(3, at::indexing::None, 7)}, 0.0);
  return values.to(at::kFloat);
}

// Non-negative values of a block whose largest magnitude is `largest`, ascending.
std::vector<double> float8_table(MomentCode code, double largest) {
  const int exponent_bits = code == MomentCode::kSignedFloat8 ? 4 : 5;
  // The smallest power of two of which the largest magnitude is at most 1.875.
  double unit = std::exp2(std::ceil(std::log2(largest / 1.875)));
  if (largest == 0) unit = 0;
  std::vector<double> table;
  for (int field = 0; field < 1 << exponent_bits; ++field) {
    for (int fraction = 0; fraction < 8; ++fraction) {
      const double power = std::exp2(std::max(field, 1) - ((1 << exponent_bits) - 1));
      table.push_back(unit * power * ((field > 0 ? 1 : 0) + fraction / 8.0));
    }
  }
  return table;
}

struct Neighbours {
  double below = 0;
  double above = 0;
};

Neighbours neighbours(MomentCode code, double magnitude, double largest_of_block) {
  if (code == MomentCode::kBFloat16) {
    if (magnitude == 0) return {0, 0};
    const double spacing = std::exp2(std::floor(std::log2(magnitude)) - 7);
    return {std::floor(magnitude / spacing) * spacing, std::ceil(magnitude / spacing) * spacing};
  }
  const std::vector<double> table = float8_table(code, largest_of_block);
  const auto above = std::lower_bound(table.begin(), table.end(), magnitude);
  return {*above == magnitude ? magnitude : *(above - 1), *above};
}

TEST(MomentCode, RoundsToANeighbour) {
  for (const MomentCode code : kCodes) {
    for (const std::int64_t size : {1, 31, 32, 33, 255, 256, 257, 5000}) {
      const Tensor values_N = spread_values(code, size);
      const Tensor result_N = round_trip(code, values_N, 5);
      for (std::int64_t i = 0; i < size; ++i) {
        const std::int64_t block = i / kMomentBlock * kMomentBlock;
        const double largest = values_N.slice(0, block, block + kMomentBlock).abs().max().item<double>();
        const double value = values_N[i].item<double>();
        const double result = result_N[i].item<double>();
        const Neighbours near = neighbours(code, std::fabs(value), largest);
        EXPECT_THAT(std::fabs(result), ::testing::AnyOf(near.below, near.above)) << i << ": " << value;
        EXPECT_TRUE(result == 0 || std::signbit(result) == std::signbit(value)) << i << ": " << value;
      }
    }
  }
}

// The mean over n roundings, each up with probability p, lies within five of its standard deviations.
TEST(MomentCode, IsRightOnAverage) {
  constexpr std::int64_t kCount = 1 << 17;
  for (const MomentCode code : kCodes) {
    for (const double value : {1.7, 0.93, 0.3, 1e-2, 3e-4, 7e-6, 2e-6, 3e-9}) {
      // Every block has the same largest number, and many copies of the value.
      Tensor values_N = at::full({kCount}, value, at::kFloat);
      values_N.index_put_({at::indexing::Slice(0, at::indexing::None, kMomentBlock)}, 1.8F);
      const double exact = values_N[1].item<double>();
      const Neighbours near = neighbours(code, exact, static_cast<double>(1.8F));
      const Tensor result_N = round_trip(code, values_N, 9);
      const Tensor copies_N = result_N.masked_select(values_N.ne(1.8F)).to(at::kDouble);
      const double up = (exact - near.below) / std::max(near.above - near.below, 1e-300);
      const double deviation =
          (near.above - near.below) * std::sqrt(up * (1 - up) / static_cast<double>(kCount));
      if (code == MomentCode::kUnsignedFloat8 && near.below == 0) continue;
      EXPECT_NEAR(copies_N.mean().item<double>(), exact, 5 * deviation + 1e-12) << value;
    }
  }
}

TEST(MomentCode, KeepsWhatItCanRepresent) {
  for (const MomentCode code : kCodes) {
    const Tensor once_N = round_trip(code, spread_values(code, 5000), 1);
    Tensor again_N = once_N;
    for (std::uint64_t key = 2; key < 20; ++key) again_N = round_trip(code, again_N, key);
    EXPECT_TRUE(at::equal(again_N, once_N));
  }
}

// A block's largest number changes at every step; its others must not be rounded anew for that.
TEST(MomentCode, KeepsTheOthersOfABlockWhenItsLargestChanges) {
  for (const MomentCode code : {MomentCode::kSignedFloat8, MomentCode::kUnsignedFloat8}) {
    Tensor values_N = at::rand({kMomentBlock}) * 0.01 + 0.01;
    values_N[0] = 1.0;
    const Tensor before_N = round_trip(code, values_N, 1);
    Tensor changed_N = before_N.clone();
    for (const double largest : {0.97, 0.51, 0.34, 1.1, 3.7}) {
      changed_N[0] = largest;
      const Tensor after_N = round_trip(code, changed_N, 2);
      EXPECT_TRUE(at::equal(after_N.slice(0, 1), before_N.slice(0, 1))) << largest;
    }
  }
}

TEST(MomentCode, NeverRoundsASecondMomentToZero) {
  Tensor values_N = at::full({kMomentBlock}, 1e-25F);
  values_N[0] = 1.0;
  values_N[1] = 0.0;
  for (std::uint64_t key = 0; key < 100; ++key) {
    const Tensor result_N = round_trip(MomentCode::kUnsignedFloat8, values_N, key);
    ASSERT_EQ(result_N[1].item<double>(), 0);
    ASSERT_EQ(result_N.slice(0, 2).min().item<double>(), std::exp2(-33));
  }
}

TEST(MomentCode, IsAFunctionOfKeyAndPlace) {
  for (const MomentCode code : kCodes) {
    const Tensor values_N = spread_values(code, 3000);
    const MomentPart whole = zeros(code, 3000);
    encode_moment(code, values_N, 7, whole);
    EXPECT_FALSE(at::equal(decoded(code, whole), round_trip(code, values_N, 8)));
    const MomentPart in_parts = zeros(code, 3000);
    for (const std::int64_t begin : {0, 256, 1024}) {
      const std::int64_t end = begin == 0 ? 256 : begin == 256 ? 1024 : 3000;
      MomentPart part;
      part.codes_N = in_parts.codes_N.slice(0, begin, end);
      part.exponents_B =
          in_parts.exponents_B.slice(0, begin / kMomentBlock, (end + kMomentBlock - 1) / kMomentBlock);
      part.first_block = begin / kMomentBlock;
      encode_moment(code, values_N.slice(0, begin, end), 7, part);
    }
    EXPECT_TRUE(at::equal(in_parts.codes_N, whole.codes_N));
    EXPECT_TRUE(at::equal(in_parts.exponents_B, whole.exponents_B));
  }
}

TEST(MomentCode, IsTheSameOnAnyNumberOfThreads) {
  const int threads = at::get_num_threads();
  for (const MomentCode code : kCodes) {
    const Tensor values_N = spread_values(code, 100000);
    at::set_num_threads(1);
    const Tensor one = round_trip(code, values_N, 7);
    at::set_num_threads(3);
    EXPECT_TRUE(at::equal(round_trip(code, values_N, 7), one));
  }
  at::set_num_threads(threads);
}

// The first block holds the value, the second does not.
TEST(MomentCode, KeepsInfinitiesAndNaNs) {
  for (const MomentCode code : kCodes) {
    for (const float bad :
         {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      Tensor values_N = at::ones({2 * kMomentBlock});
      values_N[17] = bad;
      const Tensor result_N = round_trip(code, values_N, 3);
      EXPECT_FALSE(at::isfinite(result_N[17]).item<bool>());
      EXPECT_TRUE(at::equal(result_N.slice(0, kMomentBlock), at::ones({kMomentBlock})));
    }
  }
  EXPECT_FALSE(
      at::isfinite(round_trip(MomentCode::kUnsignedFloat8, at::full({3}, 3e38F), 1)).any().item<bool>());
}

TEST(MomentCode, HoldsTheEndsOfFloat32) {
  for (const double largest : {1.59e38, 1e-37, 1e-40}) {
    const Tensor result_N = round_trip(MomentCode::kUnsignedFloat8, at::full({3}, largest, at::kFloat), 1);
    EXPECT_NEAR(result_N[0].item<double>(), largest, std::max(largest / 8, 1.2e-38));
  }
}

TEST(MomentCode, RefusesWhatDoesNotFit) {
  const Tensor values_N = at::zeros({300});
  const auto refused = [&](MomentCode code, const MomentPart& part, const Tensor& values) {
    return ddro::test::message_of(ErrorKind::kInternal, [&] { encode_moment(code, values, 1, part); });
  };
  const MomentPart part = zeros(MomentCode::kSignedFloat8, 300);
  EXPECT_THAT(refused(MomentCode::kSignedFloat8, part, values_N.to(at::kDouble)),
              ::testing::HasSubstr("float32"));
  EXPECT_THAT(refused(MomentCode::kSignedFloat8, part, at::zeros({299})), ::testing::HasSubstr("a code for"));
  EXPECT_THAT(refused(MomentCode::kBFloat16, part, values_N), ::testing::HasSubstr("a code for"));
  EXPECT_THAT(refused(MomentCode::kSignedFloat8, {part.codes_N, part.exponents_B.slice(0, 1)}, values_N),
              ::testing::HasSubstr("an exponent for"));
}

TEST(MomentCodeCuda, GivesTheBitsOfTheCpu) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device";
  for (const MomentCode code : kCodes) {
    for (const std::int64_t size : {1, 31, 256, 257, 100000}) {
      const Tensor values_N = spread_values(code, size);
      const MomentPart host = zeros(code, size), device = zeros(code, size, at::kCUDA);
      encode_moment(code, values_N, 5, host);
      encode_moment(code, values_N.cuda(), 5, device);
      EXPECT_TRUE(at::equal(device.codes_N.cpu(), host.codes_N));
      EXPECT_TRUE(at::equal(device.exponents_B.cpu(), host.exponents_B));
      EXPECT_TRUE(at::equal(decoded(code, device).cpu(), decoded(code, host)));
    }
  }
}

}  // namespace
}  // namespace ddro::ops
