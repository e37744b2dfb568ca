// The control groups that a process is in.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace ddro {

// Version 2 has one hierarchy for all controllers, version 1 one for each.
struct ControlGroup {
  bool unified = false;          // version 2
  std::filesystem::path folder;  // of its files
};

// Calls `visit` with the process's group of `controller` ("cpu", "memory") and the groups above it, as far as
// they are visible. `root`: of /proc and of where control groups are mounted.
void visit_control_groups(const std::filesystem::path& root, const std::string& controller,
                          const std::function<void(const ControlGroup&)>& visit);

}  // namespace ddro
