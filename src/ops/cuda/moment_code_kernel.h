// Launchers of the moment codes' kernels: raw pointers, no LibTorch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace ddro::ops::cuda {

// As ddro::ops::decode_moment and encode_moment, of `num_values` float32 numbers. `is_signed`: first moments.
cudaError_t launch_decode_float8(bool is_signed, const std::uint8_t* codes, const std::uint8_t* exponents,
                                 std::int64_t num_values, float* values, cudaStream_t stream);
cudaError_t launch_encode_float8(bool is_signed, const float* values, std::int64_t num_values,
                                 std::uint64_t key, std::int64_t first_block, std::uint8_t* codes,
                                 std::uint8_t* exponents, cudaStream_t stream);
// Codes: the bits of bfloat16 numbers.
cudaError_t launch_encode_bfloat16(const float* values, std::int64_t num_values, std::uint64_t key,
                                   std::int64_t first_block, std::uint16_t* codes, cudaStream_t stream);

}  // namespace ddro::ops::cuda
