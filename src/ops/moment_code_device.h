// The parts of ddro/ops/moment_code.h that differ between devices; arguments as checked there.
#pragma once

#include "ddro/ops/moment_code.h"

namespace ddro::ops {

namespace cpu {
void decode_float8(MomentCode code, const MomentPart& part, const Tensor& values_N);
void encode_moment(MomentCode code, const Tensor& values_N, std::uint64_t key, const MomentPart& part);
}  // namespace cpu
namespace cuda {
void decode_float8(MomentCode code, const MomentPart& part, const Tensor& values_N);
void encode_moment(MomentCode code, const Tensor& values_N, std::uint64_t key, const MomentPart& part);
}  // namespace cuda

}  // namespace ddro::ops
