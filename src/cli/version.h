#pragma once

#include <string>

namespace ddro::cli {

// Program, commit, LibTorch, CUDA.
std::string version_text();

}  // namespace ddro::cli
