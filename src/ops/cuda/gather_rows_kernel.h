// Launcher of the sums of rows: raw pointers, no LibTorch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "ops/cuda/float_type.h"

namespace ddro::ops::cuda {

// out[t] = sum of rows[places[i]] for i from offsets[t] to offsets[t + 1], in that order, in float32 (float64
// for float64), rounded once; 0 where there are none. rows and out: of `width` numbers each, contiguous, at
// any alignment; out overlaps none of the others.
cudaError_t launch_sum_rows(FloatType type, const void* rows, const std::int64_t* places,
                            const std::int64_t* offsets, void* out, std::int64_t num_out, std::int64_t width,
                            cudaStream_t stream);

}  // namespace ddro::ops::cuda
