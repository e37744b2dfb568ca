// Variables by which Slurm, torchrun and a user steer a process.
#include <cstdlib>

#include "ddro/base/error.h"
#include "doctor/checks.h"

namespace ddro::doctor {
namespace {

using Names = std::initializer_list<const char*>;

Finding those_set(const Machine& machine, const char* group, Names names) {
  Finding finding = {group, Status::kOk, "", Json::object()};
  for (const char* name : names) {
    const auto value = machine.facts.variable(name);
    if (!value) continue;
    finding.text += (finding.text.empty() ? "" : ", ") + std::string(name) + "=" + printable(*value);
    finding.value[name] = *value;
  }
  if (finding.text.empty()) finding.text = "none of its variables is set";
  return finding;
}

// A run is one process: more of them would each train the same run.
void warn_of_several(const Machine& machine, const char* name, Finding& finding) {
  const int count = std::atoi(machine.facts.variable(name).value_or("1").c_str());
  if (count <= 1) return;
  finding.status = Status::kWarning;
  finding.hint = "start one process: " + std::to_string(count) + " of them would train the same run each";
}

}  // namespace

Findings check_cluster(const Machine& machine) {
  Finding slurm =
      those_set(machine, "slurm",
                {"SLURM_JOB_ID", "SLURM_JOB_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_CPUS_PER_TASK",
                 "SLURM_CPUS_ON_NODE", "SLURM_GPUS_ON_NODE", "SLURM_JOB_END_TIME"});
  warn_of_several(machine, "SLURM_NTASKS", slurm);
  Finding torchrun = those_set(machine, "torchrun",
                               {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR",
                                "MASTER_PORT", "TORCHELASTIC_RUN_ID"});
  warn_of_several(machine, "WORLD_SIZE", torchrun);
  return {slurm, torchrun,
          those_set(machine, "c10d",
                    {"GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "NCCL_IB_DISABLE", "NCCL_P2P_DISABLE",
                     "NCCL_DEBUG", "TORCH_DISTRIBUTED_DEBUG"}),
          those_set(
              machine, "settings",
              {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_CPU_AFFINITY", "OMP_PROC_BIND",
               "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA", "CUDA_VISIBLE_DEVICES",
               "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "CUDA_LAUNCH_BLOCKING", "LD_PRELOAD"})};
}

}  // namespace ddro::doctor
