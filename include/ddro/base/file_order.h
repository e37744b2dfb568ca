// The order of tensors in a safetensors file.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

namespace ddro {

// By which write_safetensors sorts tensors, as the reference writer does, and in which it fetches them:
// descending dtype size, then name.
inline std::pair<std::ptrdiff_t, std::string> file_order(size_t dtype_size, const std::string& name) {
  return {-static_cast<std::ptrdiff_t>(dtype_size), name};
}

}  // namespace ddro
