#include "ddro/ops/moment_code.h"

#include <ATen/ATen.h>

#include "ddro/base/error.h"
#include "ops/moment_code_device.h"

namespace ddro::ops {
namespace {

void check(MomentCode code, const MomentPart& part, const Tensor& values_N) {
  const bool short_float = code == MomentCode::kBFloat16;
  const std::int64_t blocks = short_float ? 0 : (part.codes_N.numel() + kMomentBlock - 1) / kMomentBlock;
  DDRO_CHECK(values_N.scalar_type() == at::kFloat && values_N.is_contiguous(), "float32 values in a row");
  DDRO_CHECK(part.codes_N.scalar_type() == (short_float ? at::kBFloat16 : at::kByte) &&
                 part.codes_N.is_contiguous() && part.codes_N.numel() == values_N.numel(),
             "a code for each value");
  DDRO_CHECK(short_float || (part.exponents_B.scalar_type() == at::kByte &&
                             part.exponents_B.is_contiguous() && part.exponents_B.numel() == blocks),
             "an exponent for each block");
  DDRO_CHECK(part.codes_N.device() == values_N.device() &&
                 (short_float || part.exponents_B.device() == values_N.device()),
             "one device");
}

}  // namespace

void decode_moment(MomentCode code, const MomentPart& part, const Tensor& values_N) {
  check(code, part, values_N);
  if (code == MomentCode::kBFloat16) {
    values_N.copy_(part.codes_N);
  } else if (values_N.is_cuda()) {
    cuda::decode_float8(code, part, values_N);
  } else {
    cpu::decode_float8(code, part, values_N);
  }
}

void encode_moment(MomentCode code, const Tensor& values_N, std::uint64_t key, const MomentPart& part) {
  check(code, part, values_N);
  if (values_N.is_cuda()) {
    cuda::encode_moment(code, values_N, key, part);
  } else {
    cpu::encode_moment(code, values_N, key, part);
  }
}

}  // namespace ddro::ops
