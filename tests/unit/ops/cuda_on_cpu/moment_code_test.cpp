// The moment codes' kernels, run by threads of the CPU, give the bits of the code for the CPU.
#include "support/cuda_on_cpu.h"
// The file under test sees what the line above defines.
#include "ops/cuda/moment_code_kernel.cu"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "ops/moment_code_device.h"
#include "unit/ops/cuda_on_cpu/guarded.h"

namespace ddro::ops {
namespace {

using test::Guarded;

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

// Where a kernel writes to, and the same by the code for the CPU.
struct Parts {
  Parts(MomentCode code, std::int64_t size)
      : codes({size}, code == MomentCode::kBFloat16 ? at::kBFloat16 : at::kByte),
        exponents({(size + kMomentBlock - 1) / kMomentBlock}, at::kByte),
        expected{codes.inner().clone(), exponents.inner().clone(), /*first_block=*/3} {}

  void expect_equal() const {
    const at::ScalarType bits = codes.inner().scalar_type() == at::kByte ? at::kByte : at::kShort;
    EXPECT_TRUE(at::equal(codes.inner().view(bits), expected.codes_N.view(bits)));
    EXPECT_TRUE(at::equal(exponents.inner(), expected.exponents_B));
    codes.expect_untouched_around();
    exponents.expect_untouched_around();
  }

  Guarded codes, exponents;
  MomentPart expected;
};

constexpr std::int64_t kSizes[] = {0, 1, 31, 32, 33, 255, 256, 257, 1000};

TEST(MomentCodeKernel, EncodesFloat8) {
  for (const std::int64_t size : kSizes) {
    SCOPED_TRACE(size);
    for (const MomentCode code : {MomentCode::kSignedFloat8, MomentCode::kUnsignedFloat8}) {
      const Tensor values_N = spread_values(code, size);
      const Parts parts(code, size);
      cpu::encode_moment(code, values_N, 7, parts.expected);
      ASSERT_EQ(cuda::launch_encode_float8(
                    code == MomentCode::kSignedFloat8, values_N.const_data_ptr<float>(), size, 7,
                    parts.expected.first_block, parts.codes.inner().data_ptr<std::uint8_t>(),
                    parts.exponents.inner().data_ptr<std::uint8_t>(), nullptr),
                cudaSuccess);
      parts.expect_equal();
    }
  }
}

TEST(MomentCodeKernel, DecodesFloat8) {
  for (const std::int64_t size : kSizes) {
    SCOPED_TRACE(size);
    for (const MomentCode code : {MomentCode::kSignedFloat8, MomentCode::kUnsignedFloat8}) {
      const MomentPart part = Parts(code, size).expected;
      cpu::encode_moment(code, spread_values(code, size), 7, part);
      const Guarded values({size}, at::kFloat);
      const Tensor expected_N = values.inner().clone();
      cpu::decode_float8(code, part, expected_N);
      ASSERT_EQ(cuda::launch_decode_float8(code == MomentCode::kSignedFloat8,
                                           part.codes_N.const_data_ptr<std::uint8_t>(),
                                           part.exponents_B.const_data_ptr<std::uint8_t>(), size,
                                           values.inner().data_ptr<float>(), nullptr),
                cudaSuccess);
      EXPECT_TRUE(at::equal(values.inner().view(at::kInt), expected_N.view(at::kInt)));
      values.expect_untouched_around();
    }
  }
}

TEST(MomentCodeKernel, EncodesBFloat16) {
  for (const std::int64_t size : kSizes) {
    SCOPED_TRACE(size);
    const MomentCode code = MomentCode::kBFloat16;
    const Tensor values_N = spread_values(code, size);
    const Parts parts(code, size);
    cpu::encode_moment(code, values_N, 7, parts.expected);
    ASSERT_EQ(
        cuda::launch_encode_bfloat16(values_N.const_data_ptr<float>(), size, 7, parts.expected.first_block,
                                     static_cast<std::uint16_t*>(parts.codes.data()), nullptr),
        cudaSuccess);
    parts.expect_equal();
  }
}

}  // namespace
}  // namespace ddro::ops
