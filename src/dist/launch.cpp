#include "ddro/dist/launch.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <string_view>

#include "ddro/base/error.h"

namespace ddro::dist {
namespace {

constexpr int kMost = std::numeric_limits<int>::max();
constexpr int kMostPorts = 65535;

// What one start's variables say, each required to be a number in a range.
class Reader {
 public:
  Reader(const Variables& variables, std::string beside)
      : variables_(variables), beside_(std::move(beside)) {}

  std::string text(const char* name) const {
    const auto value = variables_(name);
    if (!value || value->empty())
      throw input_error("[" + std::string(name) + "] is not set beside " + beside_);
    return *value;
  }

  int number(const char* name, int least, int most) const {
    const std::string value = text(name);
    int number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error == std::errc() && end == value.data() + value.size() && number >= least && number <= most)
      return number;
    throw option_error(name, printable(value),
                       "an integer from " + std::to_string(least) + " to " + std::to_string(most));
  }

 private:
  const Variables& variables_;
  std::string beside_;
};

bool is_set(const Variables& variables, const char* name) {
  const auto value = variables(name);
  return value && !value->empty();
}

Launch read_torchrun(const Variables& variables) {
  const Reader reader(variables, "WORLD_SIZE");
  Launch launch;
  launch.size = reader.number("WORLD_SIZE", 1, kMost);
  if (launch.size == 1 && !is_set(variables, "RANK")) return launch;
  launch.rank = reader.number("RANK", 0, launch.size - 1);
  launch.local_size = reader.number("LOCAL_WORLD_SIZE", 1, launch.size);
  launch.local_rank = reader.number("LOCAL_RANK", 0, launch.local_size - 1);
  launch.sharing_ranks = launch.local_size;
  launch.started_by_nproc = is_set(variables, "DDRO_STARTED_BY_NPROC");
  if (launch.size == 1) return launch;
  launch.address = reader.text("MASTER_ADDR");
  launch.port = reader.number("MASTER_PORT", 1, kMostPorts);
  launch.is_hosted = variables("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True";
  if (is_set(variables, "TORCHELASTIC_RESTART_COUNT"))
    launch.attempt = reader.number("TORCHELASTIC_RESTART_COUNT", 0, kMost);
  if (is_set(variables, "DDRO_LISTENING_SOCKET") && launch.rank == 0)
    launch.socket = reader.number("DDRO_LISTENING_SOCKET", 0, kMost);
  return launch;
}

// Tasks of the `node`-th node in Slurm's "2(x3),1"; 1 where the text does not say.
int tasks_on_node(const std::string& tasks_per_node, int node) {
  const char* at = tasks_per_node.c_str();
  while (*at != '\0') {
    char* end = nullptr;
    const int tasks = static_cast<int>(std::strtol(at, &end, 10));
    int nodes = 1;
    if (end[0] == '(' && end[1] == 'x') nodes = static_cast<int>(std::strtol(end + 2, &end, 10));
    if (*end == ')') ++end;
    if (node < nodes) return std::max(1, tasks);
    node -= nodes;
    if (*end != ',') break;
    at = end + 1;
  }
  return 1;
}

// A batch script has some of a step's variables too, and passes on those of a step in which it was submitted.
bool is_slurm_step(const Variables& variables) {
  const auto tasks = variables("SLURM_STEP_NUM_TASKS");
  return tasks && *tasks != "1" && tasks == variables("SLURM_NTASKS");
}

// Below the ports that systems hand out by themselves; jobs that share a machine have neighbouring numbers.
int port_of_step(const Reader& reader, const Variables& variables) {
  constexpr long kFirstPort = 12000, kNumPorts = 20000, kJobsApart = 1009;
  const long job = reader.number("SLURM_JOB_ID", 0, kMost);
  const long step = is_set(variables, "SLURM_STEP_ID") ? reader.number("SLURM_STEP_ID", 0, kMost) : 0;
  return static_cast<int>(kFirstPort + (job + step * kJobsApart) % kNumPorts);
}

Launch read_slurm(const Variables& variables) {
  const Reader reader(variables, "SLURM_STEP_NUM_TASKS");
  Launch launch;
  launch.size = reader.number("SLURM_NTASKS", 1, kMost);
  launch.rank = reader.number("SLURM_PROCID", 0, launch.size - 1);
  launch.local_rank = reader.number("SLURM_LOCALID", 0, launch.size - 1);
  launch.local_size =
      is_set(variables, "SLURM_STEP_TASKS_PER_NODE")
          ? tasks_on_node(reader.text("SLURM_STEP_TASKS_PER_NODE"), reader.number("SLURM_NODEID", 0, kMost))
          : launch.local_rank + 1;
  launch.sharing_ranks = is_set(variables, "SLURM_CPUS_PER_TASK") ? 1 : launch.local_size;
  const bool step_list = is_set(variables, "SLURM_STEP_NODELIST");
  launch.address = is_set(variables, "MASTER_ADDR")
                       ? reader.text("MASTER_ADDR")
                       : first_host(reader.text(step_list ? "SLURM_STEP_NODELIST" : "SLURM_JOB_NODELIST"));
  launch.port = is_set(variables, "MASTER_PORT") ? reader.number("MASTER_PORT", 1, kMostPorts)
                                                 : port_of_step(reader, variables);
  return launch;
}

// What Open MPI's mpirun says to a process, and what MPICH's and Intel's do. None of it is a place to meet
// at.
struct MpiNames {
  const char* size;
  const char* rank;
  const char* local_size;
  const char* local_rank;
};
constexpr MpiNames kMpi[] = {{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE",
                              "OMPI_COMM_WORLD_LOCAL_RANK"},
                             {"PMI_SIZE", "PMI_RANK", "MPI_LOCALNRANKS", "MPI_LOCALRANKID"}};

const MpiNames* mpi_of(const Variables& variables) {
  const auto* const found = std::find_if(std::begin(kMpi), std::end(kMpi), [&](const MpiNames& names) {
    return variables(names.size).value_or("1") != "1";
  });
  return found == std::end(kMpi) ? nullptr : found;
}

// In a Slurm job mpirun has one daemon a node started as a step, whose variables its ranks inherit; a rank
// that srun itself starts has both alike.
bool is_the_same(const MpiNames& names, const Variables& variables) {
  return variables(names.size) == variables("SLURM_NTASKS") &&
         variables(names.rank) == variables("SLURM_PROCID");
}

Launch read_mpi(const MpiNames& names, const Variables& variables) {
  constexpr int kTorchrunsPort = 29500;
  const Reader reader(variables, names.size);
  Launch launch;
  launch.size = reader.number(names.size, 1, kMost);
  launch.rank = reader.number(names.rank, 0, launch.size - 1);
  launch.local_size = reader.number(names.local_size, 1, launch.size);
  launch.local_rank = reader.number(names.local_rank, 0, launch.local_size - 1);
  launch.sharing_ranks = launch.local_size;
  if (is_set(variables, "MASTER_ADDR") || launch.local_size < launch.size)
    launch.address = reader.text("MASTER_ADDR");
  else
    launch.address = "127.0.0.1";
  launch.port =
      is_set(variables, "MASTER_PORT") ? reader.number("MASTER_PORT", 1, kMostPorts) : kTorchrunsPort;
  return launch;
}

// A variable that tells of other ranks, and the one without which they are not found.
struct Half {
  const char* name;
  const char* value_alone;
  const char* missing;
};
constexpr Half kHalves[] = {{"RANK", "0", "WORLD_SIZE"},
                            {"LOCAL_RANK", "0", "WORLD_SIZE"},
                            {"LOCAL_WORLD_SIZE", "1", "WORLD_SIZE"},
                            {"SLURM_PROCID", "0", "SLURM_STEP_NUM_TASKS"},
                            {"SLURM_STEP_NUM_TASKS", "1", "SLURM_NTASKS"}};

// Shells have such variables of other programs, and of the job that they are in; ranks of one run that do not
// find each other would each train alone.
Launch read_alone(const Variables& variables) {
  Launch launch;
  for (const Half& half : kHalves) {
    if (!is_set(variables, half.name) || is_set(variables, half.missing)) continue;
    const std::string value = *variables(half.name);
    if (value != half.value_alone) {
      throw input_error("[" + std::string(half.missing) + "] is not set beside " + half.name + "; got " +
                        half.name + " " + printable(value) +
                        ", a rank of several, expected all variables of " +
                        "torchrun or srun, or none; to train alone unset " + half.name);
    }
    if (!std::string_view(half.name).starts_with("SLURM"))
      launch.warning = "[" + std::string(half.name) + "] has no effect: without " + half.missing +
                       " this process trains alone";
  }
  const std::string tasks = variables("SLURM_NTASKS").value_or("");
  if (!tasks.empty() && tasks != "1") {
    launch.warning = "[SLURM_NTASKS] the job has " + printable(tasks) +
                     " tasks, but srun did not start this process, which trains alone; with srun before the "
                     "command each task is a rank";
  }
  return launch;
}

}  // namespace

Variables environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    return value ? std::optional<std::string>(value) : std::nullopt;
  };
}

Launch read_launch(const Variables& variables) {
  if (is_set(variables, "WORLD_SIZE")) return read_torchrun(variables);
  const MpiNames* const mpi = mpi_of(variables);
  if (is_slurm_step(variables) && (!mpi || is_the_same(*mpi, variables))) return read_slurm(variables);
  if (mpi) return read_mpi(*mpi, variables);
  return read_alone(variables);
}

std::string first_host(const std::string& node_list) {
  std::string host;
  for (size_t i = 0; i < node_list.size() && node_list[i] != ','; ++i) {
    if (node_list[i] != '[') {
      host += node_list[i];
      continue;
    }
    const size_t end = node_list.find_first_of("-,]", i + 1);
    host += node_list.substr(i + 1, end - i - 1);
    i = node_list.find(']', i);
    if (i == std::string::npos) break;
  }
  return host;
}

}  // namespace ddro::dist
