// Numbers of threads from made-up machines: files of /proc and /sys in a folder, CPUs and variables as given.
#include "ddro/base/threads.h"

#include <gmock/gmock.h>

#include <map>
#include <numeric>

#include "base/cpu_quota.h"
#include "support/temporary_folder.h"

namespace ddro {
namespace {

constexpr const char* kUnified =
    "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr const char* kCpu1 =
    "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:5 - cgroup cgroup rw,cpu,cpuacct\n";
constexpr const char* kOther =
    "25 1 254:0 / / rw shared:1 - ext4 /dev/vda rw,cpu\n"
    "32 31 0:31 / /sys/fs/cgroup/cpuset rw shared:6 - cgroup cgroup rw,cpuset\n";

class Threads : public testing::Test {
 protected:
  void mount(const std::string& mounts, const std::string& groups) {
    folder_.write("proc/self/mountinfo", kOther + mounts);
    folder_.write("proc/self/cgroup", groups);
  }
  void file(const std::string& below_cgroup, const std::string& content) {
    folder_.write("sys/fs/cgroup/" + below_cgroup, content);
  }
  std::optional<double> quota() const { return cpu_quota(folder_.path()); }

  ThreadPlan plan(int num_cpus, std::map<std::string, std::string> variables = {},
                  int sharing_ranks = 1) const {
    std::vector<int> cpus(static_cast<size_t>(num_cpus));
    std::iota(cpus.begin(), cpus.end(), 0);
    return plan_threads({cpus, folder_.path(),
                         [variables](const char* name) -> std::optional<std::string> {
                           const auto found = variables.find(name);
                           return found == variables.end() ? std::nullopt : std::optional(found->second);
                         },
                         sharing_ranks});
  }

  test::TemporaryFolder folder_;
};

TEST_F(Threads, NoControlGroupsLimitNothing) {
  EXPECT_EQ(quota(), std::nullopt);
  mount("", "");
  EXPECT_EQ(quota(), std::nullopt);
  EXPECT_EQ(plan(64).count, 64);
  EXPECT_EQ(plan(64).source, "cores");
  EXPECT_EQ(plan(0).count, 1);
}

TEST_F(Threads, TakeOneOfEachCore) {
  for (int cpu = 0; cpu < 8; ++cpu) {
    const std::string siblings = std::to_string(cpu % 4) + "," + std::to_string(cpu % 4 + 4) + "\n";
    folder_.write("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list",
                  siblings);
  }
  EXPECT_EQ(plan(8).count, 4);
  EXPECT_EQ(plan(3).count, 3);
}

TEST_F(Threads, QuotaOfVersion2IsTheSmallestOfTheGroupsAbove) {
  mount(kUnified, "0::/work.slice/job.scope\n");
  file("work.slice/job.scope/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), std::nullopt);
  file("work.slice/cpu.max", "350000 100000\n");
  EXPECT_EQ(quota(), 3.5);
  file("work.slice/job.scope/cpu.max", "50000 20000\n");
  EXPECT_EQ(quota(), 2.5);
  file("work.slice/job.scope/cpu.max", "800000 100000\n");
  EXPECT_EQ(quota(), 3.5);
  file("cpu.max", "100000 100000\n");
  EXPECT_EQ(quota(), 1);
  file("work.slice/job.scope/deeper/cpu.max", "1000 100000\n");
  EXPECT_EQ(quota(), 1) << "a group below is another's";
}

TEST_F(Threads, QuotaOfVersion1) {
  mount(kCpu1, "5:cpuset:/elsewhere\n4:cpu,cpuacct:/batch/job\n0::/\n");
  file("cpu,cpuacct/batch/job/cpu.cfs_quota_us", "-1\n");
  file("cpu,cpuacct/batch/job/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), std::nullopt);
  file("cpu,cpuacct/batch/cpu.cfs_quota_us", "150000\n");
  file("cpu,cpuacct/batch/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 1.5);
}

// A container sees its own group as the top, by whichever of its paths.
TEST_F(Threads, QuotaInAContainer) {
  mount("33 31 0:30 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n", "4:cpu:/docker/abc/inner\n");
  file("cpu/inner/cpu.cfs_quota_us", "200000\n");
  file("cpu/inner/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 2);
  mount("30 23 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n", "0::/\n");
  file("cpu.max", "400000 100000\n");
  EXPECT_EQ(quota(), 4);
  mount("30 23 0:26 /../../pod /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n", "0::/../other\n");
  EXPECT_EQ(quota(), 4) << "the process's group lies outside of what is mounted";
}

TEST_F(Threads, BothVersionsCount) {
  mount(std::string(kCpu1) + "38 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        "1:cpu,cpuacct:/\n0::/\n");
  file("unified/cpu.max", "300000 100000\n");
  file("cpu,cpuacct/cpu.cfs_quota_us", "200000\n");
  file("cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 2);
}

TEST_F(Threads, QuotaThatMakesNoSenseLimitsNothing) {
  mount(kUnified, "0::/\nnonsense\n:\n");
  for (const char* content : {"", "max", "0 100000", "100000 0", "-5 100000", "words here"}) {
    file("cpu.max", content);
    EXPECT_EQ(quota(), std::nullopt) << content;
  }
}

TEST_F(Threads, QuotaIsRoundedUp) {
  mount(kUnified, "0::/\n");
  file("cpu.max", "150000 100000\n");
  EXPECT_EQ(plan(64).count, 2);
  EXPECT_EQ(plan(64).source, "CPU quota of 1.5");
  EXPECT_EQ(plan(1).count, 1);
  EXPECT_EQ(plan(1).source, "cores");
  file("cpu.max", "1000 100000\n");
  EXPECT_EQ(plan(64).count, 1);
  file("cpu.max", "1e300 1\n");
  EXPECT_EQ(plan(64).count, 64);
}

TEST_F(Threads, SlurmsAllocation) {
  EXPECT_EQ(plan(64, {{"SLURM_CPUS_PER_TASK", "8"}, {"SLURM_CPUS_ON_NODE", "16"}}).count, 8);
  EXPECT_EQ(plan(64, {{"SLURM_CPUS_ON_NODE", "16"}}).count, 16);
  EXPECT_EQ(plan(64, {{"SLURM_CPUS_ON_NODE", "16"}}).source, "SLURM_CPUS_ON_NODE");
  EXPECT_EQ(plan(4, {{"SLURM_CPUS_PER_TASK", "8"}}).count, 4);
  EXPECT_EQ(plan(4, {{"SLURM_CPUS_PER_TASK", "none"}, {"SLURM_CPUS_ON_NODE", "0"}}).count, 4);
}

TEST_F(Threads, RanksShareAMachine) {
  EXPECT_EQ(plan(64, {}, 4).count, 16);
  EXPECT_EQ(plan(64, {}, 4).source, "cores, shared by 4 ranks");
  EXPECT_EQ(plan(64, {{"SLURM_CPUS_ON_NODE", "16"}}, 4).count, 4);
  EXPECT_EQ(plan(64, {{"SLURM_CPUS_PER_TASK", "8"}}, 4).count, 2);
  EXPECT_EQ(plan(64, {{"OMP_NUM_THREADS", "3"}}, 4).count, 3);
  EXPECT_EQ(plan(2, {}, 4).count, 1);
}

TEST_F(Threads, TheUsersVariablesComeFirst) {
  const std::map<std::string, std::string> slurm = {{"SLURM_CPUS_PER_TASK", "8"}};
  for (const char* name : {"OMP_NUM_THREADS", "MKL_NUM_THREADS"}) {
    auto variables = slurm;
    variables[name] = "3";
    EXPECT_EQ(plan(64, variables).count, 3);
    EXPECT_EQ(plan(64, variables).source, name);
  }
  EXPECT_EQ(plan(64, {{"OMP_NUM_THREADS", "5,2"}, {"MKL_NUM_THREADS", "3"}}).count, 5);
  EXPECT_EQ(plan(64, {{"OMP_NUM_THREADS", "all"}}).count, 64);
  for (const char* name : {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"})
    EXPECT_EQ(plan(1, {{name, "7"}}).waiting, std::string(name) + "=7");
}

TEST_F(Threads, SayWhatWasChosen) {
  mount(kUnified, "0::/\n");
  file("cpu.max", "150000 100000\n");
  EXPECT_EQ(plan(8, {{"OMP_WAIT_POLICY", "passive"}}).describe(),
            "2 threads (CPU quota of 1.5; waiting: OMP_WAIT_POLICY=passive)");
  EXPECT_EQ(plan(8, {{"OMP_NUM_THREADS", "1"}}).describe(),
            "1 thread (OMP_NUM_THREADS; waiting: as OpenMP does)");
}

TEST(ThreadsOfThisProcess, AreAtLeastOne) { EXPECT_GE(plan_threads().count, 1); }

}  // namespace
}  // namespace ddro
