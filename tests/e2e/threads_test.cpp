// How many threads the program takes, and how they wait, as its plan and OpenMP's own report say.
#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// The program's arguments behind `env` with these words; the tests' own waiting policy does not count.
std::vector<std::string> with_environment(std::vector<std::string> words,
                                          const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {"env", "-u", "OMP_WAIT_POLICY", "-u", "OMP_NUM_THREADS"};
  command.insert(command.end(), words.begin(), words.end());
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

// The line of the plan about threads.
std::string planned(const std::vector<std::string>& words) {
  const TemporaryFolder folder;
  const ProgramResult result =
      run_program(with_environment(words, TinyRun(folder.path()).arguments({"--dry-run"})));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const std::string all = result.out + result.err;
  const size_t begin = all.find("threads: ");
  return begin == std::string::npos ? all : all.substr(begin, all.find('\n', begin) - begin);
}

TEST(Threads, ArePlannedFromWhatTheProcessMayUse) {
  EXPECT_THAT(planned({"taskset", "-c", "0"}),
              HasSubstr("threads: 1 thread (cores; waiting: GOMP_SPINCOUNT="));
  EXPECT_THAT(planned({"OMP_NUM_THREADS=3"}), HasSubstr("threads: 3 threads (OMP_NUM_THREADS; "));
  EXPECT_THAT(planned({"OMP_WAIT_POLICY=active"}), HasSubstr("waiting: OMP_WAIT_POLICY=active)"));
  if (sysconf(_SC_NPROCESSORS_ONLN) > 1) {
    EXPECT_THAT(planned({"SLURM_CPUS_PER_TASK=1"}), HasSubstr("threads: 1 thread (SLURM_CPUS_PER_TASK; "));
  }
}

bool write(const fs::path& path, const std::string& text) {
  return bool(std::ofstream(path) << text << std::flush);
}

// A control group with half a CPU, if this machine lets us have one.
class HalfACpu {
 public:
  HalfACpu() {
    std::error_code ignored;
    for (const char* parent : {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup"}) {
      path_ = fs::path(parent) / ("ddro_test_" + std::to_string(getpid()));
      if (fs::create_directory(path_, ignored) &&
          (write(path_ / "cpu.cfs_quota_us", "50000") || write(path_ / "cpu.max", "50000 100000")))
        return;
      fs::remove(path_, ignored);
    }
    path_.clear();
  }
  ~HalfACpu() {
    if (!path_.empty()) rmdir(path_.c_str());
  }
  HalfACpu(const HalfACpu&) = delete;
  HalfACpu& operator=(const HalfACpu&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

TEST(Threads, AreLimitedByAControlGroup) {
  const HalfACpu group;
  if (group.path().empty()) GTEST_SKIP() << "control groups cannot be made here";
  const std::string join = "echo $$ > " + (group.path() / "cgroup.procs").string() + " && exec \"$@\"";
  EXPECT_THAT(planned({"sh", "-c", join, "sh"}), HasSubstr("threads: 1 thread (CPU quota of 0.5; "));
}

TEST(Threads, WaitAsThePlanSays) {
  const auto report = [](const std::vector<std::string>& words) {
    std::vector<std::string> all = {"OMP_DISPLAY_ENV=verbose"};
    all.insert(all.end(), words.begin(), words.end());
    return run_program(with_environment(all, {environment_path("DDRO_TRAIN").string(), "config"})).err;
  };
  EXPECT_THAT(report({}), HasSubstr("GOMP_SPINCOUNT = '300'"));
  EXPECT_THAT(report({"GOMP_SPINCOUNT=77"}), HasSubstr("GOMP_SPINCOUNT = '77'"));
  EXPECT_THAT(report({"OMP_WAIT_POLICY=passive"}), HasSubstr("GOMP_SPINCOUNT = '0'"));
}

}  // namespace
}  // namespace ddro::test
