// How much memory there is.
#pragma once

#include <filesystem>
#include <optional>

namespace ddro {

// Bytes that this process can still take: what the machine has available, or less where control groups limit
// it; none where nothing says so. What is kept of files that were read or written counts as available.
// `root`: of /proc and of where control groups are mounted.
std::optional<double> available_memory(const std::filesystem::path& root = "/");

}  // namespace ddro
