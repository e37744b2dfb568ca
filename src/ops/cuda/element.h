// Numbers of each FloatType in kernels: arithmetic in float32 (float64 for float64), loads of sixteen bytes.
// C++17, no LibTorch.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "ops/cuda/float_type.h"

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

// Sixteen bytes: one load or store.
template <typename T>
struct alignas(16) Pack {
  static constexpr int kSize = 16 / sizeof(T);
  T values[kSize];
};

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
