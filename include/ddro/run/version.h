#pragma once

#include <cstdint>
#include <string>

namespace ddro::run {

// Program, commit, LibTorch, CUDA.
std::string version_text();

// LibTorch's versions as it packs them (TORCH_ABI_VERSION): the one that this program was built against, and
// the one that it runs with.
std::uint64_t built_libtorch();
std::uint64_t loaded_libtorch();
std::string libtorch_text(std::uint64_t packed);  // "2.11.0"

// Error(kModel) unless both are the same: its C++ interface changes with every version.
void require_libtorch(std::uint64_t loaded, std::uint64_t built);

}  // namespace ddro::run
