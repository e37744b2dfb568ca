// One block a token; a thread takes what one load holds of a head's first half, and its partners of the
// second.
#include "ops/cuda/rotary_kernel.h"

#include <algorithm>
#include <limits>

#include "ops/cuda/element.h"
#include "ops/cuda/launch.h"

namespace ddro::ops::cuda {
namespace {

constexpr int kMaxThreads = 256;
constexpr int kWarpSize = 32;

template <typename T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    rotary_kernel(const T* x, const T* cos, const T* sin, T* y, int num_heads, int half, bool inverse) {
  const std::int64_t token = blockIdx.x;
  const std::int64_t token_begin = token * num_heads * 2 * half;
  const int packs_of_half = half / N;
  for (int i = static_cast<int>(threadIdx.x); i < num_heads * packs_of_half;
       i += static_cast<int>(blockDim.x)) {
    const int begin = i % packs_of_half * N;  // in the half
    const std::int64_t first = token_begin + std::int64_t{i / packs_of_half} * 2 * half + begin;
    const Pack<T, N> x1 = pack_at<N>(x + first), x2 = pack_at<N>(x + first + half);
    const Pack<T, N> cosines = pack_at<N>(cos + token * 2 * half + begin);
    const Pack<T, N> sines = pack_at<N>(sin + token * 2 * half + begin);
    Pack<T, N> y1, y2;
    for (int j = 0; j < N; ++j) {
      const Wide<T> a = widen(x1.values[j]), b = widen(x2.values[j]), c = widen(cosines.values[j]);
      const Wide<T> s = inverse ? -widen(sines.values[j]) : widen(sines.values[j]);
      narrow(a * c - b * s, y1.values[j]);
      narrow(b * c + a * s, y2.values[j]);
    }
    pack_at<N>(y + first) = y1;
    pack_at<N>(y + first + half) = y2;
  }
}

}  // namespace

cudaError_t launch_rotary(FloatType type, const void* x, const void* cos, const void* sin, void* y,
                          std::int64_t num_tokens, std::int64_t num_heads, std::int64_t width, bool inverse,
                          cudaStream_t stream) {
  if (num_heads * width > std::numeric_limits<int>::max()) return cudaErrorInvalidValue;
  return with_element(type, [&](auto element) {
    using T = decltype(element);
    constexpr int kPack = Pack<T>::kSize;
    const auto heads = static_cast<int>(num_heads), half = static_cast<int>(width / 2);
    const bool packed = half % kPack == 0 && are_aligned(x, cos, sin, y);
    const int work = heads * (packed ? half / kPack : half);
    const int threads = std::clamp((work + kWarpSize - 1) / kWarpSize * kWarpSize, kWarpSize, kMaxThreads);
    return launch(packed ? rotary_kernel<T, kPack> : rotary_kernel<T, 1>, num_tokens, threads, stream,
                  static_cast<const T*>(x), static_cast<const T*>(cos), static_cast<const T*>(sin),
                  static_cast<T*>(y), heads, half, inverse);
  });
}

}  // namespace ddro::ops::cuda
