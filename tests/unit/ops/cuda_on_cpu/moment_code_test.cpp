// The moment codes' kernels, run by threads of the CPU, give the bits of the code for the CPU.
#include "support/cuda_on_cpu.h"
// The file under test sees what the line above defines.
#include "ops/cuda/moment_code_kernel.cu"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <limits>
#include <string>

#include "ops/moment_code_device.h"

namespace ddro::ops {
namespace {

// Numbers over many powers of ten; some blocks hold a value that is not finite, some only zeros.
Tensor spread_values(MomentCode code, std::int64_t size) {
  at::manual_seed(11);
  Tensor values_N = at::randn({size}, at::kDouble) * at::pow(10.0, at::rand({size}, at::kDouble) * -12);
  if (code == MomentCode::kUnsignedFloat8) values_N = values_N.abs();
  values_N.slice(0, 3, at::nullopt, 7).fill_(0.0);
  if (size > 3 * kMomentBlock) {
    values_N[kMomentBlock + 77] = std::numeric_limits<double>::infinity();
    values_N[2 * kMomentBlock - 1] = std::numeric_limits<double>::quiet_NaN();
    values_N.slice(0, 2 * kMomentBlock, 3 * kMomentBlock).fill_(0.0);
  }
  return values_N.to(at::kFloat);
}

constexpr std::int64_t kRoom = 64;

// `size` elements with room behind them, filled with what no kernel writes everywhere.
Tensor unwritten(std::int64_t size, double value, at::ScalarType dtype) {
  return at::full({size + kRoom}, value, dtype).narrow(0, 0, size);
}
// With the room behind them.
Tensor whole(const Tensor& part_N) { return part_N.as_strided({part_N.numel() + kRoom}, {1}, 0); }

MomentPart unwritten_part(MomentCode code, std::int64_t size, std::int64_t first_block) {
  MomentPart part;
  part.codes_N =
      code == MomentCode::kBFloat16 ? unwritten(size, -3.0, at::kBFloat16) : unwritten(size, 0xA5, at::kByte);
  part.exponents_B = unwritten((size + kMomentBlock - 1) / kMomentBlock, 0xA5, at::kByte);
  part.first_block = first_block;
  return part;
}

class MomentCodeKernel : public testing::TestWithParam<std::int64_t> {};

TEST_P(MomentCodeKernel, EncodesFloat8) {
  for (const MomentCode code : {MomentCode::kSignedFloat8, MomentCode::kUnsignedFloat8}) {
    const Tensor values_N = spread_values(code, GetParam());
    const MomentPart expected = unwritten_part(code, GetParam(), 3),
                     got = unwritten_part(code, GetParam(), 3);
    cpu::encode_moment(code, values_N, 7, expected);
    ASSERT_EQ(cuda::launch_encode_float8(code == MomentCode::kSignedFloat8, values_N.const_data_ptr<float>(),
                                         GetParam(), 7, 3, got.codes_N.data_ptr<std::uint8_t>(),
                                         got.exponents_B.data_ptr<std::uint8_t>(), nullptr),
              cudaSuccess);
    EXPECT_TRUE(torch::equal(whole(got.codes_N), whole(expected.codes_N)));
    EXPECT_TRUE(torch::equal(whole(got.exponents_B), whole(expected.exponents_B)));
  }
}

TEST_P(MomentCodeKernel, DecodesFloat8) {
  for (const MomentCode code : {MomentCode::kSignedFloat8, MomentCode::kUnsignedFloat8}) {
    const MomentPart part = unwritten_part(code, GetParam(), 0);
    cpu::encode_moment(code, spread_values(code, GetParam()), 7, part);
    const Tensor expected_N = unwritten(GetParam(), -3.0, at::kFloat);
    const Tensor got_N = unwritten(GetParam(), -3.0, at::kFloat);
    cpu::decode_float8(code, part, expected_N);
    ASSERT_EQ(cuda::launch_decode_float8(code == MomentCode::kSignedFloat8,
                                         part.codes_N.const_data_ptr<std::uint8_t>(),
                                         part.exponents_B.const_data_ptr<std::uint8_t>(), GetParam(),
                                         got_N.data_ptr<float>(), nullptr),
              cudaSuccess);
    EXPECT_TRUE(torch::equal(whole(got_N).view(at::kInt), whole(expected_N).view(at::kInt)));
  }
}

TEST_P(MomentCodeKernel, EncodesBFloat16) {
  const MomentCode code = MomentCode::kBFloat16;
  const Tensor values_N = spread_values(code, GetParam());
  const MomentPart expected = unwritten_part(code, GetParam(), 3), got = unwritten_part(code, GetParam(), 3);
  cpu::encode_moment(code, values_N, 7, expected);
  ASSERT_EQ(cuda::launch_encode_bfloat16(values_N.const_data_ptr<float>(), GetParam(), 7, 3,
                                         static_cast<std::uint16_t*>(got.codes_N.data_ptr()), nullptr),
            cudaSuccess);
  EXPECT_TRUE(torch::equal(whole(got.codes_N).view(at::kShort), whole(expected.codes_N).view(at::kShort)));
}

INSTANTIATE_TEST_SUITE_P(Sizes, MomentCodeKernel, testing::Values(0, 1, 31, 32, 33, 255, 256, 257, 1000));

}  // namespace
}  // namespace ddro::ops
