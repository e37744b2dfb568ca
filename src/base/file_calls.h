// What the classes that write files have in common.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace ddro::files {

std::string reason();                                  // of the system call that failed last
std::string where(const std::filesystem::path& path);  // "[path] "

// Error(kSave) that names `path`.
void write_all(int descriptor, std::span<const std::byte> bytes, const std::filesystem::path& path);
void refuse_irregular(const std::filesystem::path& path);  // anything there but a file

}  // namespace ddro::files
