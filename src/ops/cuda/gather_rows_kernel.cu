// One block a sum; a thread takes what one load holds of a row, from all of its places.
#include "ops/cuda/gather_rows_kernel.h"

#include <algorithm>

#include "ops/cuda/element.h"
#include "ops/cuda/launch.h"

namespace ddro::ops::cuda {
namespace {

constexpr int kMaxThreads = 256;
constexpr int kWarpSize = 32;

template <typename T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    sum_rows_kernel(const T* rows, const std::int64_t* places, const std::int64_t* offsets, T* out,
                    std::int64_t width) {
  const std::int64_t begin = offsets[blockIdx.x], end = offsets[blockIdx.x + 1];
  for (std::int64_t i = std::int64_t{threadIdx.x} * N; i < width; i += std::int64_t{blockDim.x} * N) {
    Wide<T> sums[N] = {};
    for (std::int64_t place = begin; place < end; ++place) {
      const Pack<T, N> values = pack_at<N>(rows + places[place] * width + i);
      for (int j = 0; j < N; ++j) sums[j] += widen(values.values[j]);
    }
    Pack<T, N> rounded;
    for (int j = 0; j < N; ++j) narrow(sums[j], rounded.values[j]);
    pack_at<N>(out + blockIdx.x * width + i) = rounded;
  }
}

}  // namespace

cudaError_t launch_sum_rows(FloatType type, const void* rows, const std::int64_t* places,
                            const std::int64_t* offsets, void* out, std::int64_t num_out, std::int64_t width,
                            cudaStream_t stream) {
  return with_element(type, [&](auto element) {
    using T = decltype(element);
    constexpr int kPack = Pack<T>::kSize;
    const bool packed = width % kPack == 0 && are_aligned(rows, out);
    const std::int64_t work = packed ? width / kPack : width;
    const auto threads = static_cast<int>(
        std::clamp<std::int64_t>((work + kWarpSize - 1) / kWarpSize * kWarpSize, kWarpSize, kMaxThreads));
    return launch(packed ? sum_rows_kernel<T, kPack> : sum_rows_kernel<T, 1>, num_out, threads, stream,
                  static_cast<const T*>(rows), places, offsets, static_cast<T*>(out), width);
  });
}

}  // namespace ddro::ops::cuda
