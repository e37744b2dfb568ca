// The CPU: what it can do, what of it this process may use, and what LibTorch makes of it.
#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "base/cpu_quota.h"
#include "ddro/base/error.h"
#include "doctor/checks.h"

namespace ddro::doctor {
namespace {

struct CpuInfo {
  std::string model = "unknown";
  std::set<std::string> flags;
  int hardware_threads = 0;
};

CpuInfo read_cpu_info(const std::filesystem::path& root) {
  CpuInfo info;
  std::ifstream file(root / "proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string value = line.size() > colon + 2 ? line.substr(colon + 2) : "";
    if (line.starts_with("processor")) ++info.hardware_threads;
    if (line.starts_with("model name")) info.model = printable(value);
    if (line.starts_with("flags") && info.flags.empty()) {
      std::istringstream words(value);
      for (std::string word; words >> word;) info.flags.insert(word);
    }
  }
  return info;
}

std::string extensions(const CpuInfo& cpu) {
  std::string text;
  for (const char* flag : {"avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16"}) {
    if (cpu.flags.contains(flag)) text += (text.empty() ? "" : ", ") + std::string(flag);
  }
  return text.empty() ? "none of AVX2, AVX-512, AMX" : text;
}

Finding kernels(const Machine& machine, const CpuInfo& cpu) {
  const std::string best = cpu.flags.contains("avx512f") ? "AVX512"
                           : cpu.flags.contains("avx2")  ? "AVX2"
                                                         : "";
  const std::string& used = machine.cpu_capability;
  Finding finding = {"cpu_kernels", Status::kOk, used + " in LibTorch; the CPU has " + extensions(cpu), used};
  if (best.empty()) {
    finding.status = Status::kWarning;
    finding.hint = "training will be several times slower than on a CPU with AVX2";
  } else if (used != best) {
    finding.status = Status::kWarning;
    finding.hint = best + " kernels are faster; unset ATEN_CPU_CAPABILITY";
  }
  return finding;
}

Finding cores(const Machine& machine, const CpuInfo& cpu) {
  const int cores = num_cores(machine.facts);
  const auto allowed = static_cast<int>(machine.facts.cpus.size());
  return {"cores", Status::kOk,
          std::to_string(cores) + " that this process may run on, " + std::to_string(allowed) + " of " +
              std::to_string(cpu.hardware_threads) + " hardware threads",
          cores};
}

Finding quota(const Machine& machine) {
  const std::optional<double> quota = cpu_quota(machine.facts.root);
  if (!quota) return {"cpu_quota", Status::kOk, "none"};
  Finding finding = {"cpu_quota", Status::kOk, printable(*quota) + " CPUs", *quota};
  if (*quota < num_cores(machine.facts)) {
    finding.status = Status::kWarning;
    finding.text += ", fewer than cores";
    finding.hint = "the container or job is limited; raise the limit if that is not meant";
  }
  return finding;
}

}  // namespace

Findings check_processor(const Machine& machine) {
  const CpuInfo cpu = read_cpu_info(machine.facts.root);
  const ThreadPlan plan = plan_threads(machine.facts);
  return {{"cpu", Status::kOk, cpu.model, cpu.model},
          kernels(machine, cpu),
          cores(machine, cpu),
          quota(machine),
          {"threads", Status::kOk, plan.describe(), plan.count}};
}

}  // namespace ddro::doctor
