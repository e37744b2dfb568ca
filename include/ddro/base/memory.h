// How much memory there is, and how much this process has.
#pragma once

#include <filesystem>
#include <optional>

namespace ddro {

// Bytes that this process can still take: what the machine has available, or less where control groups limit
// it; none where nothing says so. What is kept of files that were read or written counts as available.
// `root`: of /proc and of where control groups are mounted.
std::optional<double> available_memory(const std::filesystem::path& root = "/");

// Bytes of physical memory that this process has, pages of mapped files among them, and the most that it has
// had since its program began. (getrusage counts what the process that started it had at that moment.) None
// where the kernel does not say.
std::optional<double> resident_memory(const std::filesystem::path& root = "/");
std::optional<double> peak_resident_memory(const std::filesystem::path& root = "/");

}  // namespace ddro
