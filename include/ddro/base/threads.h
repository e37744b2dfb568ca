// How many threads compute, and how they wait for each other.
//
// LibTorch takes a thread for each core that the process may run on. That is too many under a CPU quota or
// in a part of a Slurm node. Its OpenMP threads wait for each other some hundred thousand times a step: by
// spinning, which is fast on free cores but keeps a busy core from the thread that is waited for, or asleep,
// which costs a wake-up each time. Spinning for a short while and then sleeping is nearly as good as the
// better of both. The number stays the same for a whole run: bits depend on it.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace ddro {

struct ThreadPlan {
  int count = 1;
  std::string source;   // what the number comes from
  std::string waiting;  // OpenMP's variable that says how: the user's, or the program's own setting of it
                        // (src/ops/cpu/openmp_waiting.cpp)

  std::string describe() const;  // "2 threads (cores; waiting: GOMP_SPINCOUNT=300)"
};

// What a plan is made from.
struct ThreadFacts {
  std::vector<int> cpus;             // those that the process may run on
  std::filesystem::path root = "/";  // of /proc and /sys
  std::function<std::optional<std::string>(const char* name)> variable;
  int sharing_ranks = 1;  // processes of one run that share all of this
};

// The fewest of: cores (not hardware threads) among `cpus`; the CPU quota of the process's control group and
// those above it, version 1 or 2, rounded up; SLURM_CPUS_PER_TASK or else SLURM_CPUS_ON_NODE. The ranks share
// it out. At least 1. What cannot be read sets no limit. OMP_NUM_THREADS, or else MKL_NUM_THREADS, comes
// before all of it, for each rank.
ThreadPlan plan_threads(const ThreadFacts& facts);
ThreadPlan plan_threads(int sharing_ranks = 1);  // of this process

// Cores, not hardware threads, among `cpus`.
int num_cores(const ThreadFacts& facts);

ThreadFacts process_facts();  // of this process

}  // namespace ddro
