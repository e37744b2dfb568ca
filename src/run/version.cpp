#include "ddro/run/version.h"

#include <cuda.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/version.h>

#include "ddro/base/error.h"
#include "ddro_commit.h"

namespace ddro::run {

std::string version_text() {
  const std::string cuda =
      std::to_string(CUDA_VERSION / 1000) + "." + std::to_string(CUDA_VERSION % 1000 / 10);
  return std::string("ddro-train ") + kVersion + " (commit " + kCommit + ", LibTorch " + TORCH_VERSION +
         ", CUDA " + cuda + ")";
}

std::uint64_t built_libtorch() { return TORCH_ABI_VERSION; }

std::uint64_t loaded_libtorch() { return aoti_torch_abi_version(); }

std::string libtorch_text(std::uint64_t packed) {
  const auto part = [&](int shift) { return std::to_string(packed >> shift & 0xff); };
  return part(56) + "." + part(48) + "." + part(40);
}

void require_libtorch(std::uint64_t loaded, std::uint64_t built) {
  if (loaded == built) return;
  throw model_error("[LibTorch] another version is loaded; got " + libtorch_text(loaded) + ", expected " +
                    libtorch_text(built) + "; install torch==" + libtorch_text(built));
}

}  // namespace ddro::run
