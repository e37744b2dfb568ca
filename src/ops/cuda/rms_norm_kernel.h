// Launchers of the norm's kernels: raw pointers, no LibTorch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "ops/cuda/float_type.h"

namespace ddro::ops::cuda {

// Rows whose gradients of the weight add up in one part.
inline constexpr std::int64_t kNormPartRows = 16;

// The widest rows that launch_rms_norm_backward takes.
inline constexpr std::int64_t kNormMaxWidth = 16384;

// Rows of `width` contiguous numbers, at any alignment; an output overlaps no other array. `scales`, one
// number a row, and `d_weights` are float32, of float64 numbers float64.

// sum = x + addend, rounded, and y = sum s weight with s = 1 / sqrt(mean(sum^2) + eps), rounded once. Without
// an addend (null) `sums` is not written and the sum is x.
cudaError_t launch_rms_norm(FloatType type, const void* x, const void* addend, const void* weight, double eps,
                            void* sums, void* y, void* scales, std::int64_t num_rows, std::int64_t width,
                            cudaStream_t stream);

// With n = sum s and the mean m of d_y weight n over a row: d_x = s (d_y weight - n m) + d_sum, rounded once;
// `d_sum` may be null. d_weights: of each kNormPartRows rows the sum of d_y n, in their order; null: none.
cudaError_t launch_rms_norm_backward(FloatType type, const void* d_y, const void* sums, const void* weight,
                                     const void* scales, const void* d_sum, void* d_x, void* d_weights,
                                     std::int64_t num_rows, std::int64_t width, cudaStream_t stream);

}  // namespace ddro::ops::cuda
