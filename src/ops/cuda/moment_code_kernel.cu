// One thread a number, one thread block a block of numbers.
#include "ops/cuda/moment_code_kernel.h"

#include "ops/cuda/launch.h"
#include "ops/moment_element.h"

namespace ddro::ops::cuda {
namespace {

constexpr int kThreads = 256;  // kMomentBlock
constexpr int kWarpSize = 32;

__device__ std::int64_t place_of_thread() {
  return static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
}

// Every thread gets the largest `mine` of the block.
__device__ std::uint32_t largest_of_block(std::uint32_t mine) {
  __shared__ std::uint32_t of_warp[kThreads / kWarpSize];
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2)
    mine = max(mine, __shfl_xor_sync(0xFFFFFFFFu, mine, offset));
  if (threadIdx.x % kWarpSize == 0) of_warp[threadIdx.x / kWarpSize] = mine;
  __syncthreads();
  std::uint32_t largest = 0;
  for (const std::uint32_t other : of_warp) largest = max(largest, other);
  return largest;
}

template <typename Float8>
__global__ void __launch_bounds__(kThreads)
    decode_float8_kernel(const std::uint8_t* codes, const std::uint8_t* exponents, std::int64_t num_values,
                         float* values) {
  const std::int64_t place = place_of_thread();
  if (place < num_values) values[place] = Float8::decode(codes[place], unit_of(exponents[blockIdx.x]));
}

template <typename Float8>
__global__ void __launch_bounds__(kThreads)
    encode_float8_kernel(const float* values, std::int64_t num_values, std::uint64_t key,
                         std::int64_t first_block, std::uint8_t* codes, std::uint8_t* exponents) {
  const std::int64_t place = place_of_thread();
  const float value = place < num_values ? values[place] : 0.0F;
  const std::uint8_t exponent = unit_exponent(largest_of_block(bits_of(value) & 0x7FFFFFFFu));
  if (threadIdx.x == 0) exponents[blockIdx.x] = exponent;
  if (place >= num_values) return;
  const std::uint32_t seed = block_seed(key, static_cast<std::uint64_t>(first_block + blockIdx.x));
  codes[place] = exponent == kNotFinite
                     ? std::uint8_t{0}
                     : Float8::encode(value, inverse_unit_of(exponent), rounding_bits(seed, threadIdx.x));
}

__global__ void __launch_bounds__(kThreads)
    encode_bfloat16_kernel(const float* values, std::int64_t num_values, std::uint64_t key,
                           std::int64_t first_block, std::uint16_t* codes) {
  const std::int64_t place = place_of_thread();
  if (place >= num_values) return;
  const std::uint32_t seed = block_seed(key, static_cast<std::uint64_t>(first_block + blockIdx.x));
  codes[place] = bfloat16_code(values[place], rounding_bits(seed, threadIdx.x));
}

std::int64_t num_blocks(std::int64_t num_values) { return (num_values + kThreads - 1) / kThreads; }

}  // namespace

cudaError_t launch_decode_float8(bool is_signed, const std::uint8_t* codes, const std::uint8_t* exponents,
                                 std::int64_t num_values, float* values, cudaStream_t stream) {
  const auto kernel = is_signed ? decode_float8_kernel<SignedFloat8> : decode_float8_kernel<UnsignedFloat8>;
  return launch(kernel, num_blocks(num_values), kThreads, stream, codes, exponents, num_values, values);
}

cudaError_t launch_encode_float8(bool is_signed, const float* values, std::int64_t num_values,
                                 std::uint64_t key, std::int64_t first_block, std::uint8_t* codes,
                                 std::uint8_t* exponents, cudaStream_t stream) {
  const auto kernel = is_signed ? encode_float8_kernel<SignedFloat8> : encode_float8_kernel<UnsignedFloat8>;
  return launch(kernel, num_blocks(num_values), kThreads, stream, values, num_values, key, first_block, codes,
                exponents);
}

cudaError_t launch_encode_bfloat16(const float* values, std::int64_t num_values, std::uint64_t key,
                                   std::int64_t first_block, std::uint16_t* codes, cudaStream_t stream) {
  return launch(encode_bfloat16_kernel, num_blocks(num_values), kThreads, stream, values, num_values, key,
                first_block, codes);
}

}  // namespace ddro::ops::cuda
