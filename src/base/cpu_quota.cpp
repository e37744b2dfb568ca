#include "base/cpu_quota.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace ddro {
namespace {

namespace fs = std::filesystem;

// A mounted hierarchy of control groups.
struct Hierarchy {
  bool unified = false;  // version 2
  fs::path group;        // which of its groups is mounted, "/" outside of containers
  fs::path place;        // where
};

// A line of mountinfo: id parent device root place options [fields ...] - type source options.
std::optional<Hierarchy> parse_mount(const std::string& line) {
  std::istringstream fields(line);
  std::string id, parent, device, group, place, word, type, source, options;
  fields >> id >> parent >> device >> group >> place;
  while (fields >> word && word != "-") continue;
  fields >> type >> source >> options;
  const bool of_cpu = ("," + options + ",").find(",cpu,") != std::string::npos;
  if (type != "cgroup2" && !(type == "cgroup" && of_cpu)) return std::nullopt;
  return Hierarchy{type == "cgroup2", group, place};
}

// The process's group in a hierarchy, from a line "number:controllers:group" of /proc/self/cgroup.
std::optional<fs::path> group_of_process(const fs::path& root, bool unified) {
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool found =
        unified ? controllers.empty() : ("," + controllers + ",").find(",cpu,") != std::string::npos;
    if (found) return line.substr(second + 1);
  }
  return std::nullopt;
}

// Microseconds of CPU time in each period; "max" or a negative number is no limit.
std::optional<double> quota_of(const fs::path& group, bool unified) {
  double quota = -1, period = 0;
  if (unified) {
    std::ifstream(group / "cpu.max") >> quota >> period;
  } else {
    std::ifstream(group / "cpu.cfs_quota_us") >> quota;
    std::ifstream(group / "cpu.cfs_period_us") >> period;
  }
  if (quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

}  // namespace

std::optional<double> cpu_quota(const fs::path& root) {
  std::optional<double> smallest;
  std::ifstream mounts(root / "proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const auto hierarchy = parse_mount(line);
    if (!hierarchy) continue;
    const auto group = group_of_process(root, hierarchy->unified);
    if (!group) continue;
    // A group outside of what is mounted is not visible: then that is all there is to see.
    const fs::path below = group->lexically_relative(hierarchy->group);
    const bool visible = !below.empty() && *below.begin() != "..";
    const fs::path top = root / hierarchy->place.relative_path();
    for (fs::path at = visible ? (top / below).lexically_normal() : top;; at = at.parent_path()) {
      const auto quota = quota_of(at, hierarchy->unified);
      if (quota) smallest = std::min(*quota, smallest.value_or(*quota));
      if (at.native().size() <= top.native().size()) break;
    }
  }
  return smallest;
}

}  // namespace ddro
