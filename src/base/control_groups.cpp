#include "base/control_groups.h"

#include <fstream>
#include <optional>
#include <sstream>

namespace ddro {
namespace {

namespace fs = std::filesystem;

// A mounted hierarchy of control groups.
struct Hierarchy {
  bool unified = false;
  fs::path group;  // which of its groups is mounted, "/" outside of containers
  fs::path place;  // where
};

bool lists(const std::string& names, const std::string& name) {
  return ("," + names + ",").find("," + name + ",") != std::string::npos;
}

// A line of mountinfo: id parent device root place options [fields ...] - type source options.
std::optional<Hierarchy> parse_mount(const std::string& line, const std::string& controller) {
  std::istringstream fields(line);
  std::string id, parent, device, group, place, word, type, source, options;
  fields >> id >> parent >> device >> group >> place;
  while (fields >> word && word != "-") continue;
  fields >> type >> source >> options;
  if (type != "cgroup2" && !(type == "cgroup" && lists(options, controller))) return std::nullopt;
  return Hierarchy{type == "cgroup2", group, place};
}

// The process's group in a hierarchy, from a line "number:controllers:group" of /proc/self/cgroup.
std::optional<fs::path> group_of_process(const fs::path& root, bool unified, const std::string& controller) {
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (unified ? controllers.empty() : lists(controllers, controller)) return line.substr(second + 1);
  }
  return std::nullopt;
}

}  // namespace

void visit_control_groups(const fs::path& root, const std::string& controller,
                          const std::function<void(const ControlGroup&)>& visit) {
  std::ifstream mounts(root / "proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const auto hierarchy = parse_mount(line, controller);
    if (!hierarchy) continue;
    const auto group = group_of_process(root, hierarchy->unified, controller);
    if (!group) continue;
    // A group outside of what is mounted is not visible: then that is all there is to see.
    const fs::path below = group->lexically_relative(hierarchy->group);
    const bool visible = !below.empty() && *below.begin() != "..";
    const fs::path top = root / hierarchy->place.relative_path();
    for (fs::path at = visible ? (top / below).lexically_normal() : top;; at = at.parent_path()) {
      visit({hierarchy->unified, at});
      if (at.native().size() <= top.native().size()) break;
    }
  }
}

}  // namespace ddro
