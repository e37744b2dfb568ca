#include "ddro/run/version.h"

#include <cuda.h>
#include <torch/version.h>

#include "ddro_commit.h"

namespace ddro::run {

std::string version_text() {
  const std::string cuda =
      std::to_string(CUDA_VERSION / 1000) + "." + std::to_string(CUDA_VERSION % 1000 / 10);
  return std::string("ddro-train ") + kVersion + " (commit " + kCommit + ", LibTorch " + TORCH_VERSION +
         ", CUDA " + cuda + ")";
}

}  // namespace ddro::run
