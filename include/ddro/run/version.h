#pragma once

#include <string>

namespace ddro::run {

// Program, commit, LibTorch, CUDA.
std::string version_text();

}  // namespace ddro::run
