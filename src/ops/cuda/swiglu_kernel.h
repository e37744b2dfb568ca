// Launchers of the gated activation's kernels: raw pointers, no LibTorch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "ops/cuda/float_type.h"

namespace ddro::ops::cuda {

// As the functions of ops/swiglu_device.h, over `size` contiguous numbers each, at any alignment. No array
// overlaps another.
cudaError_t launch_swiglu(FloatType type, const void* gate, const void* up, void* product, std::int64_t size,
                          cudaStream_t stream);
cudaError_t launch_swiglu_backward(FloatType type, const void* d_product, const void* gate, const void* up,
                                   void* product, void* d_gate, void* d_up, std::int64_t size,
                                   cudaStream_t stream);

}  // namespace ddro::ops::cuda
