// Variables by which Slurm, torchrun, mpirun and a user steer a process.
#include "ddro/base/error.h"
#include "ddro/dist/launch.h"
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

std::string describe(const dist::Launch& launch) {
  if (launch.size == 1) return "one process";
  return "rank " + std::to_string(launch.rank) + " of " + std::to_string(launch.size) + ", which meet at " +
         printable(launch.address) + ":" + std::to_string(launch.port);
}

// Which of a run's ranks a training started here would be.
Finding check_rank(const Machine& machine) {
  Finding finding = {"rank", Status::kOk, "", Json::object()};
  try {
    const dist::Launch launch = dist::read_launch(machine.facts.variable);
    finding.text = describe(launch);
    finding.value = {{"rank", launch.rank}, {"size", launch.size}};
    if (!launch.warning.empty()) {
      finding.status = Status::kWarning;
      finding.hint = launch.warning;
    }
  } catch (const Error& error) {
    finding.status = Status::kFailed;
    finding.text = "the variables do not say which";
    finding.hint = error.what();
  }
  return finding;
}

}  // namespace

Findings check_cluster(const Machine& machine) {
  return {
      those_set(machine, "slurm",
                {"SLURM_JOB_ID", "SLURM_JOB_NODELIST", "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID",
                 "SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "SLURM_GPUS_ON_NODE", "SLURM_JOB_END_TIME"}),
      those_set(machine, "torchrun",
                {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT",
                 "TORCHELASTIC_RUN_ID"}),
      those_set(machine, "mpirun",
                {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE",
                 "OMPI_COMM_WORLD_LOCAL_RANK", "PMI_SIZE", "PMI_RANK", "MPI_LOCALNRANKS", "MPI_LOCALRANKID"}),
      check_rank(machine),
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
