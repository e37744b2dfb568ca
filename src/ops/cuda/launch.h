// How every kernel here is launched. C++17, no LibTorch.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <limits>

namespace ddro::ops::cuda {

// A row of blocks; none is no launch. cudaErrorInvalidConfiguration beyond what a grid holds. A plain call
// instead of the triple angle brackets, so that a host compiler reads the kernels' files as well.
template <typename... Parameters, typename... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), std::int64_t num_blocks, int num_threads,
                   cudaStream_t stream, Arguments... arguments) {
  if (num_blocks == 0) return cudaSuccess;
  if (num_blocks > std::numeric_limits<std::int32_t>::max()) return cudaErrorInvalidConfiguration;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(num_blocks));
  config.blockDim = dim3(static_cast<unsigned>(num_threads));
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, arguments...);
}

}  // namespace ddro::ops::cuda
