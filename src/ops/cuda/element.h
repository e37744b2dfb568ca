// Numbers of each FloatType in kernels: arithmetic in float32 (float64 for float64), loads of sixteen bytes.
// C++17, no LibTorch.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include "ops/cuda/float_type.h"

// In front of a loop over what a thread keeps in its registers: an index is to be a constant there.
#ifdef __CUDACC__
#define DDRO_UNROLL _Pragma("unroll")
#else
#define DDRO_UNROLL
#endif

namespace ddro::ops::cuda {

inline __device__ float widen(__half x) { return __half2float(x); }
inline __device__ float widen(__nv_bfloat16 x) { return __bfloat162float(x); }
inline __device__ float widen(float x) { return x; }
inline __device__ double widen(double x) { return x; }

inline __device__ void narrow(float x, __half& out) { out = __float2half_rn(x); }
inline __device__ void narrow(float x, __nv_bfloat16& out) { out = __float2bfloat16_rn(x); }
inline __device__ void narrow(float x, float& out) { out = x; }
inline __device__ void narrow(double x, double& out) { out = x; }

// What sums and products of T are computed in.
template <typename T>
using Wide = decltype(widen(T{}));

// N numbers that are one load or store: by default sixteen bytes.
template <typename T, int N = 16 / sizeof(T)>
struct alignas(N * sizeof(T)) Pack {
  static constexpr int kSize = N;
  T values[N];
};

// Whether packs may begin at each address.
template <typename... Pointers>
bool are_aligned(Pointers... pointers) {
  return ((reinterpret_cast<std::uintptr_t>(pointers) % 16 == 0) && ...);
}

// The N numbers from a place that is aligned as they are together.
template <int N, typename T>
__device__ const Pack<T, N>& pack_at(const T* place) {
  return *reinterpret_cast<const Pack<T, N>*>(place);
}
template <int N, typename T>
__device__ Pack<T, N>& pack_at(T* place) {
  return *reinterpret_cast<Pack<T, N>*>(place);
}

// run(T{}) for the T that `type` names.
template <typename Run>
cudaError_t with_element(FloatType type, Run run) {
  switch (type) {
    case FloatType::kFloat16:
      return run(__half{});
    case FloatType::kBFloat16:
      return run(__nv_bfloat16{});
    case FloatType::kFloat32:
      return run(float{});
    case FloatType::kFloat64:
      return run(double{});
  }
  return cudaErrorInvalidValue;
}

}  // namespace ddro::ops::cuda
