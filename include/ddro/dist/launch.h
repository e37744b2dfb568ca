// Which of a run's ranks this process is, as whatever started it says.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace ddro::dist {

using Variables = std::function<std::optional<std::string>(const char* name)>;
Variables environment();  // of this process

struct Launch {
  int rank = 0;
  int size = 1;
  int local_rank = 0;  // among the ranks on this machine
  int local_size = 1;
  int sharing_ranks = 1;          // of those on this machine, how many share what CPUs are granted to each
  std::string address;            // where the ranks meet: of the machine of rank 0
  int port = 0;                   // 0 with one rank
  std::optional<int> socket;      // bound to that place already
  bool is_hosted = false;         // the launcher serves the meeting place, else rank 0 does
  int attempt = 0;                // how often the launcher has started the ranks again, at one place
  bool started_by_nproc = false;  // see start_ranks
  std::string warning;            // of one rank: what may have been meant to make it one of several
};

// By the first of these that are there: the variables of `torchrun` (RANK, WORLD_SIZE, LOCAL_RANK,
// LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT, TORCHELASTIC_*), which start_ranks sets too; those of a Slurm
// step with several tasks; those of `mpirun` (OMPI_COMM_WORLD_*, or PMI_* with MPI_LOCAL*). Slurm's ranks
// meet on the step's first node, at a port made from the numbers of job and step, those of mpirun on one
// machine at port 29500 of the loopback; MASTER_ADDR and MASTER_PORT come before both, and mpirun's ranks on
// several machines need MASTER_ADDR. Without any of them, one rank. Error(kInput) naming the variable that is
// wrong, or that is missing beside one that tells of other ranks.
Launch read_launch(const Variables& variables);

// "n3" of Slurm's "n[3-5,9],m1".
std::string first_host(const std::string& node_list);

}  // namespace ddro::dist
