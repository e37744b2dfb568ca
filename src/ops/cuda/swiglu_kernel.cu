// One thread for as many neighbours as one load holds.
#include "ops/cuda/swiglu_kernel.h"

#include "ops/cuda/element.h"
#include "ops/cuda/launch.h"

namespace ddro::ops::cuda {
namespace {

constexpr int kThreads = 256;

// Numbers begin, ..., begin + N - 1 of an array of `size`, as far as they exist.
template <int N, typename T>
__device__ Pack<T, N> load(const T* array, std::int64_t begin, std::int64_t size) {
  if (size - begin >= N) return pack_at<N>(array + begin);
  Pack<T, N> pack{};
  for (int i = 0; i < size - begin; ++i) pack.values[i] = array[begin + i];
  return pack;
}
template <typename T, int N>
__device__ void store(const Pack<T, N>& pack, T* array, std::int64_t begin, std::int64_t size) {
  if (size - begin >= N) {
    pack_at<N>(array + begin) = pack;
    return;
  }
  for (int i = 0; i < size - begin; ++i) array[begin + i] = pack.values[i];
}

// The first number of the calling thread.
template <int N>
__device__ std::int64_t place_of_thread() {
  return (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) * N;
}

template <typename A>
__device__ A sigmoid(A x) {
  return 1 / (1 + exp(-x));
}

template <typename T, int N>
__global__ void __launch_bounds__(kThreads)
    swiglu_kernel(const T* gates, const T* ups, T* products, std::int64_t size) {
  const std::int64_t begin = place_of_thread<N>();
  if (begin >= size) return;
  const auto gate = load<N>(gates, begin, size);
  const auto up = load<N>(ups, begin, size);
  Pack<T, N> product;
  for (int i = 0; i < N; ++i) {
    const Wide<T> g = widen(gate.values[i]);
    narrow(g * sigmoid(g) * widen(up.values[i]), product.values[i]);
  }
  store(product, products, begin, size);
}

// With s = sigmoid(gate): d silu(gate) / d gate = s (1 + gate (1 - s)).
template <typename T, int N>
__global__ void __launch_bounds__(kThreads)
    swiglu_backward_kernel(const T* d_products, const T* gates, const T* ups, T* products, T* d_gates,
                           T* d_ups, std::int64_t size) {
  const std::int64_t begin = place_of_thread<N>();
  if (begin >= size) return;
  const auto d_product = load<N>(d_products, begin, size);
  const auto gate = load<N>(gates, begin, size);
  const auto up = load<N>(ups, begin, size);
  Pack<T, N> product, d_gate, d_up;
  for (int i = 0; i < N; ++i) {
    const Wide<T> g = widen(gate.values[i]);
    const Wide<T> u = widen(up.values[i]);
    const Wide<T> d = widen(d_product.values[i]);
    const Wide<T> s = sigmoid(g);
    narrow(g * s * u, product.values[i]);
    narrow(d * (g * s), d_up.values[i]);
    narrow(d * u * (s * (1 + g * (1 - s))), d_gate.values[i]);
  }
  store(product, products, begin, size);
  store(d_gate, d_gates, begin, size);
  store(d_up, d_ups, begin, size);
}

std::int64_t num_blocks(std::int64_t size, int numbers_per_thread) {
  const std::int64_t per_block = std::int64_t{kThreads} * numbers_per_thread;
  return (size + per_block - 1) / per_block;
}

}  // namespace

cudaError_t launch_swiglu(FloatType type, const void* gate, const void* up, void* product, std::int64_t size,
                          cudaStream_t stream) {
  return with_element(type, [&](auto element) {
    using T = decltype(element);
    constexpr int kPack = Pack<T>::kSize;
    const bool packed = are_aligned(gate, up, product);
    return launch(packed ? swiglu_kernel<T, kPack> : swiglu_kernel<T, 1>,
                  num_blocks(size, packed ? kPack : 1), kThreads, stream, static_cast<const T*>(gate),
                  static_cast<const T*>(up), static_cast<T*>(product), size);
  });
}

cudaError_t launch_swiglu_backward(FloatType type, const void* d_product, const void* gate, const void* up,
                                   void* product, void* d_gate, void* d_up, std::int64_t size,
                                   cudaStream_t stream) {
  return with_element(type, [&](auto element) {
    using T = decltype(element);
    constexpr int kPack = Pack<T>::kSize;
    const bool packed = are_aligned(d_product, gate, up, product, d_gate, d_up);
    return launch(packed ? swiglu_backward_kernel<T, kPack> : swiglu_backward_kernel<T, 1>,
                  num_blocks(size, packed ? kPack : 1), kThreads, stream, static_cast<const T*>(d_product),
                  static_cast<const T*>(gate), static_cast<const T*>(up), static_cast<T*>(product),
                  static_cast<T*>(d_gate), static_cast<T*>(d_up), size);
  });
}

}  // namespace ddro::ops::cuda
