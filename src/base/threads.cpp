#include "ddro/base/threads.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <set>
#include <thread>
#include <tuple>
#include <utility>

#include "base/cpu_quota.h"
#include "ddro/base/error.h"

namespace ddro {
namespace {

void limit(ThreadPlan& plan, double most, const std::string& source) {
  if (most >= plan.count) return;
  plan.count = std::max(1, static_cast<int>(std::ceil(most)));
  plan.source = source;
}

void share(ThreadPlan& plan, int ranks) {
  if (ranks == 1) return;
  plan.count = std::max(1, plan.count / ranks);
  plan.source += ", shared by " + std::to_string(ranks) + " ranks";
}

// The first of these variables that holds a positive number, and the number.
std::optional<std::pair<const char*, int>> number_of(const ThreadFacts& facts,
                                                     std::initializer_list<const char*> variables) {
  for (const char* name : variables) {
    const auto text = facts.variable(name);
    const int number = text ? std::atoi(text->c_str()) : 0;
    if (number > 0) return std::pair(name, number);
  }
  return std::nullopt;
}

std::string waiting(const ThreadFacts& facts) {
  for (const char* name : {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}) {
    if (const auto value = facts.variable(name)) return std::string(name) + "=" + printable(*value);
  }
  return "as OpenMP does";
}

// All of a machine that has more than a cpu_set_t holds.
std::vector<int> allowed_cpus() {
  cpu_set_t set;
  const bool known = sched_getaffinity(0, sizeof set, &set) == 0;
  const int end = known ? CPU_SETSIZE : static_cast<int>(std::thread::hardware_concurrency());
  std::vector<int> cpus;
  for (int cpu = 0; cpu < end; ++cpu) {
    if (!known || CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

}  // namespace

// What the kernel lists of a hardware thread and those beside it is the same text for all of them.
int num_cores(const ThreadFacts& facts) {
  std::set<std::string> cores;
  for (const int cpu : facts.cpus) {
    const std::string name = "cpu" + std::to_string(cpu);
    std::string siblings;
    std::getline(
        std::ifstream(facts.root / "sys/devices/system/cpu" / name / "topology/thread_siblings_list"),
        siblings);
    cores.insert(siblings.empty() ? name : siblings);
  }
  return static_cast<int>(cores.size());
}

std::string ThreadPlan::describe() const {
  return std::to_string(count) + (count == 1 ? " thread (" : " threads (") + source +
         "; waiting: " + waiting + ")";
}

ThreadPlan plan_threads(const ThreadFacts& facts) {
  ThreadPlan plan = {std::max(1, num_cores(facts)), "cores", waiting(facts)};
  if (const auto wish = number_of(facts, {"OMP_NUM_THREADS", "MKL_NUM_THREADS"})) {
    std::tie(plan.source, plan.count) = *wish;
    return plan;
  }
  if (const auto quota = cpu_quota(facts.root)) limit(plan, *quota, "CPU quota of " + printable(*quota));
  if (const auto granted = number_of(facts, {"SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"}))
    limit(plan, granted->second, granted->first);
  share(plan, facts.sharing_ranks);
  return plan;
}

ThreadFacts process_facts() {
  return {allowed_cpus(), "/", [](const char* name) -> std::optional<std::string> {
            const char* value = std::getenv(name);
            return value ? std::optional<std::string>(value) : std::nullopt;
          }};
}

ThreadPlan plan_threads(int sharing_ranks) {
  ThreadFacts facts = process_facts();
  facts.sharing_ranks = sharing_ranks;
  return plan_threads(facts);
}

}  // namespace ddro
