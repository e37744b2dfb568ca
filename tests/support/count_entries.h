#pragma once

#include <cstddef>
#include <filesystem>
#include <iterator>

namespace ddro::test {

inline size_t count_entries(const std::filesystem::path& folder) {
  return static_cast<size_t>(
      std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
}

}  // namespace ddro::test
