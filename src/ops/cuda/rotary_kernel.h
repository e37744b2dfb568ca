// Launcher of the rotation's kernel: raw pointers, no LibTorch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "ops/cuda/float_type.h"

namespace ddro::ops::cuda {

// As ddro::ops::rotary; `inverse`: with -sin for sin. x and y: tokens x heads x width; cos and sin: tokens x
// width, of which the first halves are read. All contiguous, at any alignment; y overlaps none of the others.
cudaError_t launch_rotary(FloatType type, const void* x, const void* cos, const void* sin, void* y,
                          std::int64_t num_tokens, std::int64_t num_heads, std::int64_t width, bool inverse,
                          cudaStream_t stream);

}  // namespace ddro::ops::cuda
