#include "ddro/base/memory.h"

#include <algorithm>
#include <fstream>
#include <string>

#include "base/control_groups.h"

namespace ddro {
namespace {

namespace fs = std::filesystem;

// The number behind `name` in a file of lines "name number".
std::optional<double> number_in(const fs::path& path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  for (double number = 0; file >> word;) {
    if (word == name && file >> number) return number;
  }
  return std::nullopt;
}

std::optional<double> kibibytes_in(const fs::path& path, const std::string& name) {
  const std::optional<double> number = number_in(path, name);
  return number ? std::optional(*number * 1024) : std::nullopt;
}

// None for "max", and where there is no such file.
std::optional<double> number_of(const fs::path& path) {
  double number = 0;
  return std::ifstream(path) >> number ? std::optional(number) : std::nullopt;
}

std::optional<double> left_in(const ControlGroup& group) {
  const auto limit = number_of(group.folder / (group.unified ? "memory.max" : "memory.limit_in_bytes"));
  const auto used = number_of(group.folder / (group.unified ? "memory.current" : "memory.usage_in_bytes"));
  if (!limit || !used) return std::nullopt;
  const auto of_files = number_in(group.folder / "memory.stat", group.unified ? "file" : "total_cache");
  return std::max(0.0, *limit - *used + of_files.value_or(0));
}

}  // namespace

std::optional<double> available_memory(const fs::path& root) {
  std::optional<double> smallest = kibibytes_in(root / "proc/meminfo", "MemAvailable:");
  visit_control_groups(root, "memory", [&](const ControlGroup& group) {
    const auto left = left_in(group);
    if (left) smallest = std::min(*left, smallest.value_or(*left));
  });
  return smallest;
}

std::optional<double> resident_memory(const fs::path& root) {
  return kibibytes_in(root / "proc/self/status", "VmRSS:");
}

std::optional<double> peak_resident_memory(const fs::path& root) {
  return kibibytes_in(root / "proc/self/status", "VmHWM:");
}

}  // namespace ddro
