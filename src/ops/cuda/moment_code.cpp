#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "ops/cuda/moment_code_kernel.h"
#include "ops/moment_code_device.h"

namespace ddro::ops::cuda {

void decode_float8(MomentCode code, const MomentPart& part, const Tensor& values_N) {
  const c10::cuda::CUDAGuard guard(values_N.device());
  C10_CUDA_CHECK(
      launch_decode_float8(code == MomentCode::kSignedFloat8, part.codes_N.const_data_ptr<std::uint8_t>(),
                           part.exponents_B.const_data_ptr<std::uint8_t>(), values_N.numel(),
                           values_N.data_ptr<float>(), c10::cuda::getCurrentCUDAStream().stream()));
}

void encode_moment(MomentCode code, const Tensor& values_N, std::uint64_t key, const MomentPart& part) {
  const c10::cuda::CUDAGuard guard(values_N.device());
  const auto stream = c10::cuda::getCurrentCUDAStream().stream();
  const auto* values = values_N.const_data_ptr<float>();
  if (code == MomentCode::kBFloat16) {
    auto* codes = static_cast<std::uint16_t*>(part.codes_N.data_ptr());
    C10_CUDA_CHECK(launch_encode_bfloat16(values, values_N.numel(), key, part.first_block, codes, stream));
    return;
  }
  C10_CUDA_CHECK(launch_encode_float8(code == MomentCode::kSignedFloat8, values, values_N.numel(), key,
                                      part.first_block, part.codes_N.data_ptr<std::uint8_t>(),
                                      part.exponents_B.data_ptr<std::uint8_t>(), stream));
}

}  // namespace ddro::ops::cuda
