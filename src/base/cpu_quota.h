// The CPU time that control groups grant a process.
#pragma once

#include <filesystem>
#include <optional>

namespace ddro {

// In CPUs, the smallest of the process's control group and the groups above it, as far as they are visible;
// none where nothing limits it. `root`: of /proc and of where control groups are mounted.
std::optional<double> cpu_quota(const std::filesystem::path& root);

}  // namespace ddro
