// Forward: one block a row. Backward: one block for the rows of a part, each thread with the same columns of
// all of them, so that their gradients of the weight add up in its registers. What a row is read for a second
// time is in the first cache.
#include "ops/cuda/rms_norm_kernel.h"

#include <algorithm>

#include "ops/cuda/element.h"
#include "ops/cuda/launch.h"

namespace ddro::ops::cuda {
namespace {

constexpr int kMaxThreads = 512;
constexpr int kWarpSize = 32;
constexpr int kColumns = 32;  // of a thread, at most
static_assert(kMaxThreads * kColumns == kNormMaxWidth);

// Every thread gets the sum of the block's, by a tree of one shape.
template <typename A>
__device__ A sum_of_block(A mine) {
  __shared__ A of_warp[kMaxThreads / kWarpSize];
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2)
    mine += __shfl_xor_sync(0xFFFFFFFFu, mine, offset);
  __syncthreads();  // until all have read the sums of the row before
  if (threadIdx.x % kWarpSize == 0) of_warp[threadIdx.x / kWarpSize] = mine;
  __syncthreads();
  A sum = 0;
  for (unsigned warp = 0; warp < blockDim.x / kWarpSize; ++warp) sum += of_warp[warp];
  return sum;
}

inline __device__ float square_root(float x) { return sqrtf(x); }
inline __device__ double square_root(double x) { return sqrt(x); }

// x + addend as the sums hold it; x itself without one.
template <typename T, int N>
__device__ Pack<T, N> sum_at(const T* x, const T* addend, std::int64_t place) {
  Pack<T, N> sum = pack_at<N>(x + place);
  if (addend == nullptr) return sum;
  const Pack<T, N> added = pack_at<N>(addend + place);
  for (int j = 0; j < N; ++j) narrow(widen(sum.values[j]) + widen(added.values[j]), sum.values[j]);
  return sum;
}

template <typename T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    rms_norm_kernel(const T* x, const T* addend, const T* weight, Wide<T> eps, T* sums, T* y, Wide<T>* scales,
                    int width) {
  const std::int64_t row = std::int64_t{blockIdx.x} * width;
  const int first = static_cast<int>(threadIdx.x) * N, stride = static_cast<int>(blockDim.x) * N;
  Wide<T> squares = 0;
  for (int i = first; i < width; i += stride) {
    const Pack<T, N> sum = sum_at<T, N>(x, addend, row + i);
    if (addend != nullptr) pack_at<N>(sums + row + i) = sum;
    for (int j = 0; j < N; ++j) squares += widen(sum.values[j]) * widen(sum.values[j]);
  }
  const Wide<T> scale = 1 / square_root(sum_of_block(squares) / static_cast<Wide<T>>(width) + eps);
  if (threadIdx.x == 0) scales[blockIdx.x] = scale;
  for (int i = first; i < width; i += stride) {
    const Pack<T, N> sum = sum_at<T, N>(x, addend, row + i), factor = pack_at<N>(weight + i);
    Pack<T, N> normed;
    for (int j = 0; j < N; ++j)
      narrow(widen(sum.values[j]) * scale * widen(factor.values[j]), normed.values[j]);
    pack_at<N>(y + row + i) = normed;
  }
}

template <typename T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    rms_norm_backward_kernel(const T* d_y, const T* sums, const T* weight, const Wide<T>* scales,
                             const T* d_sum, T* d_x, Wide<T>* d_weights, std::int64_t num_rows, int width) {
  constexpr int kPacks = kColumns / N;
  const int first = static_cast<int>(threadIdx.x) * N, stride = static_cast<int>(blockDim.x) * N;
  const std::int64_t begin = std::int64_t{blockIdx.x} * kNormPartRows;
  const std::int64_t end = begin + kNormPartRows < num_rows ? begin + kNormPartRows : num_rows;
  Wide<T> d_weight[kPacks][N] = {};
  for (std::int64_t row = begin; row < end; ++row) {
    const Wide<T> scale = scales[row];
    Wide<T> dot = 0;
    for (int i = first; i < width; i += stride) {
      const Pack<T, N> dy = pack_at<N>(d_y + row * width + i), sum = pack_at<N>(sums + row * width + i),
                       factor = pack_at<N>(weight + i);
      for (int j = 0; j < N; ++j)
        dot += widen(dy.values[j]) * widen(factor.values[j]) * (widen(sum.values[j]) * scale);
    }
    const Wide<T> mean = sum_of_block(dot) / static_cast<Wide<T>>(width);
    DDRO_UNROLL
    for (int k = 0; k < kPacks; ++k) {
      const int i = first + k * stride;
      if (i >= width) continue;
      const std::int64_t place = row * width + i;
      const Pack<T, N> dy = pack_at<N>(d_y + place), sum = pack_at<N>(sums + place),
                       factor = pack_at<N>(weight + i);
      Pack<T, N> added{}, result;
      if (d_sum != nullptr) added = pack_at<N>(d_sum + place);
      for (int j = 0; j < N; ++j) {
        const Wide<T> normed = widen(sum.values[j]) * scale, d = widen(dy.values[j]);
        d_weight[k][j] += d * normed;
        const Wide<T> dx = scale * (d * widen(factor.values[j]) - normed * mean);
        narrow(d_sum != nullptr ? dx + widen(added.values[j]) : dx, result.values[j]);
      }
      pack_at<N>(d_x + place) = result;
    }
  }
  if (d_weights == nullptr) return;
  DDRO_UNROLL
  for (int k = 0; k < kPacks; ++k) {
    const int i = first + k * stride;
    if (i >= width) continue;
    for (int j = 0; j < N; ++j) d_weights[std::int64_t{blockIdx.x} * width + i + j] = d_weight[k][j];
  }
}

// As many as have a pack each, or as few as have `columns` columns each.
int threads_for(std::int64_t width, int pack, int columns) {
  const std::int64_t least = (width + columns - 1) / columns, most = (width + pack - 1) / pack;
  const std::int64_t wanted = std::max<std::int64_t>(least, std::min<std::int64_t>(most, 256));
  return static_cast<int>(
      std::clamp<std::int64_t>((wanted + kWarpSize - 1) / kWarpSize * kWarpSize, kWarpSize, kMaxThreads));
}

}  // namespace

cudaError_t launch_rms_norm(FloatType type, const void* x, const void* addend, const void* weight, double eps,
                            void* sums, void* y, void* scales, std::int64_t num_rows, std::int64_t width,
                            cudaStream_t stream) {
  if (width > std::numeric_limits<int>::max() / 2) return cudaErrorInvalidValue;
  return with_element(type, [&](auto element) {
    using T = decltype(element);
    using A = Wide<T>;
    constexpr int kPack = Pack<T>::kSize;
    const bool packed = width % kPack == 0 && are_aligned(x, addend, weight, sums, y);
    const int threads = threads_for(width, packed ? kPack : 1, kColumns);
    return launch(packed ? rms_norm_kernel<T, kPack> : rms_norm_kernel<T, 1>, num_rows, threads, stream,
                  static_cast<const T*>(x), static_cast<const T*>(addend), static_cast<const T*>(weight),
                  static_cast<A>(eps), static_cast<T*>(sums), static_cast<T*>(y), static_cast<A*>(scales),
                  static_cast<int>(width));
  });
}

cudaError_t launch_rms_norm_backward(FloatType type, const void* d_y, const void* sums, const void* weight,
                                     const void* scales, const void* d_sum, void* d_x, void* d_weights,
                                     std::int64_t num_rows, std::int64_t width, cudaStream_t stream) {
  if (width > kNormMaxWidth) return cudaErrorInvalidValue;
  return with_element(type, [&](auto element) {
    using T = decltype(element);
    using A = Wide<T>;
    constexpr int kPack = Pack<T>::kSize;
    const bool packed = width % kPack == 0 && are_aligned(d_y, sums, weight, d_sum, d_x);
    const int threads = threads_for(width, packed ? kPack : 1, kColumns);
    return launch(packed ? rms_norm_backward_kernel<T, kPack> : rms_norm_backward_kernel<T, 1>,
                  (num_rows + kNormPartRows - 1) / kNormPartRows, threads, stream, static_cast<const T*>(d_y),
                  static_cast<const T*>(sums), static_cast<const T*>(weight), static_cast<const A*>(scales),
                  static_cast<const T*>(d_sum), static_cast<T*>(d_x), static_cast<A*>(d_weights), num_rows,
                  static_cast<int>(width));
  });
}

}  // namespace ddro::ops::cuda
