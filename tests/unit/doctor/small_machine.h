// A machine that a test describes: four cores of one hardware thread each, no limits, AVX-512.
#pragma once

#include <map>
#include <string>

#include "ddro/doctor/doctor.h"
#include "support/temporary_folder.h"

namespace ddro::test {

class SmallMachine {
 public:
  SmallMachine() { cpu("avx2 avx512f avx512_bf16"); }

  // /proc/cpuinfo with these flags.
  void cpu(const std::string& flags) {
    std::string text;
    for (int i = 0; i < 4; ++i) {
      text += "processor\t: " + std::to_string(i) + "\nmodel name\t: Example 9000\nflags\t\t: fpu " + flags +
              "\n\n";
    }
    root.write("proc/cpuinfo", text);
  }

  // A container's control group, version 2.
  void quota(const std::string& cpu_max) {
    root.write("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
    root.write("proc/self/cgroup", "0::/\n");
    root.write("sys/fs/cgroup/cpu.max", cpu_max + "\n");
  }

  doctor::Machine machine() const {
    const auto values = variables;
    return {{{0, 1, 2, 3},
             root.path(),
             [values](const char* name) -> std::optional<std::string> {
               const auto found = values.find(name);
               return found == values.end() ? std::nullopt : std::optional(found->second);
             }},
            capability,
            libtorch,
            libtorch,
            root.path()};
  }

  TemporaryFolder root;
  std::map<std::string, std::string> variables;
  std::string capability = "AVX512";
  std::uint64_t libtorch = (2ULL << 56) + (11ULL << 48);
};

inline const doctor::Finding& named(const doctor::Findings& findings, const std::string& name) {
  for (const doctor::Finding& finding : findings) {
    if (finding.name == name) return finding;
  }
  throw std::runtime_error("no finding " + name);
}

}  // namespace ddro::test
