#include "ddro/doctor/doctor.h"

#include <ATen/Version.h>
#include <torch/cuda.h>

#include "ddro/base/error.h"
#include "ddro/run/setup.h"
#include "ddro/run/version.h"
#include "doctor/checks.h"

namespace ddro::doctor {
namespace {

struct Group {
  const char* name;
  Findings (*check)(const Machine&);
};

constexpr Group kGroups[] = {{"versions", check_versions}, {"processor", check_processor},
                             {"devices", check_devices},   {"rates", check_rates},
                             {"kernels", check_kernels},   {"gradients", check_gradients},
                             {"disk", check_disk},         {"cluster", check_cluster}};

Findings run_group(const Group& group, const Machine& machine) {
  try {
    return group.check(machine);
  } catch (const std::exception& error) {
    const std::string text = error.what();
    return {{group.name, Status::kFailed, printable(text.substr(0, text.find('\n')), 400)}};
  }
}

}  // namespace

Machine this_machine(const std::filesystem::path& folder) {
  return {process_facts(), at::get_cpu_capability(), run::built_libtorch(), run::loaded_libtorch(), folder};
}

bool examine(const Machine& machine, const std::function<void(const Finding&)>& found) {
  bool sound = true;
  for (const Group& group : kGroups) {
    for (const Finding& finding : run_group(group, machine)) {
      found(finding);
      sound = sound && finding.status != Status::kFailed;
    }
  }
  return sound;
}

std::vector<at::Device> devices() {
  if (!torch::cuda::is_available()) return {at::kCPU};
  return {at::kCPU, run::default_device()};
}

std::string device_name(at::Device device) { return device.is_cuda() ? "cuda" : "cpu"; }

}  // namespace ddro::doctor
