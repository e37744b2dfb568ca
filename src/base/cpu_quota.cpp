#include "base/cpu_quota.h"

#include <algorithm>
#include <fstream>

#include "base/control_groups.h"

namespace ddro {
namespace {

// Microseconds of CPU time in each period; "max" or a negative number is no limit.
std::optional<double> quota_of(const ControlGroup& group) {
  double quota = -1, period = 0;
  if (group.unified) {
    std::ifstream(group.folder / "cpu.max") >> quota >> period;
  } else {
    std::ifstream(group.folder / "cpu.cfs_quota_us") >> quota;
    std::ifstream(group.folder / "cpu.cfs_period_us") >> period;
  }
  if (quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

}  // namespace

std::optional<double> cpu_quota(const std::filesystem::path& root) {
  std::optional<double> smallest;
  visit_control_groups(root, "cpu", [&](const ControlGroup& group) {
    const auto quota = quota_of(group);
    if (quota) smallest = std::min(*quota, smallest.value_or(*quota));
  });
  return smallest;
}

}  // namespace ddro
