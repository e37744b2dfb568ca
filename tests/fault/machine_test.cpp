// Faults of the machine: its clock, its memory.
#include <gmock/gmock.h>

#include <csignal>
#include <ctime>
#include <fstream>
#include <optional>

#include "fault/outcome.h"

namespace ddro::test {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> jumping_clock(int seconds, int readings) {
  return {"LD_PRELOAD=" + environment_path("DDRO_CLOCK_FAULTS").string(),
          "DDRO_CLOCK_JUMP=" + std::to_string(seconds), "DDRO_CLOCK_READS=" + std::to_string(readings)};
}

constexpr int kTwoDays = 2 * 24 * 3600;

TEST(ClockJumps, ChangeNothing) {
  for (const int seconds : {kTwoDays, 30}) {
    const TemporaryFolder folder;
    const TinyRun run(folder.path(), short_run());
    std::vector<std::string> killed = jumping_clock(seconds, 5);
    killed.emplace_back("DDRO_FAILPOINT=checkpoint.before_rename:3");
    ASSERT_EQ(run.run({}, killed), -SIGKILL) << run.log_text();
    ASSERT_EQ(run.run({}, jumping_clock(seconds, 3)), 0) << run.log_text();
    expect_as_undisturbed(run, "jumps of " + std::to_string(seconds) + " s");
  }
}

// A clock that has jumped behind the job's end stops the run as that end would, be it in loading or later.
TEST(ClockJumps, OverTheTimeLimitLoseNothing) {
  int stopped = 0;
  for (const int readings : {10, 40, 80, 120}) {
    const TemporaryFolder folder;
    const TinyRun run(folder.path(), short_run());
    std::vector<std::string> job = jumping_clock(kTwoDays, readings);
    job.push_back("SLURM_JOB_END_TIME=" + std::to_string(std::time(nullptr) + 3600));
    const int code = run.run({}, job);
    if (code == 0) continue;  // before the clock was read so often
    ASSERT_EQ(code, 75) << run.log_text();
    EXPECT_THAT(run.log_text(), HasSubstr("120 s before the job's time limit"));
    ASSERT_EQ(run.run(), 0) << run.log_text();
    expect_as_undisturbed(run, "a jump over the time limit");
    ++stopped;
  }
  EXPECT_GT(stopped, 1);
}

// A group of processes whose memory is limited, below that of this process: version 1 of control groups has a
// hierarchy for memory, version 2 one for all.
class MemoryGroup {
 public:
  MemoryGroup() {
    const auto own = own_group();
    if (!own) return;
    path_ = *own / ("ddro_test_" + std::to_string(getpid()));
    std::error_code failed;
    if (!std::filesystem::create_directory(path_, failed)) path_.clear();
    if (!path_.empty() && !std::filesystem::exists(limit_file())) remove();
  }
  ~MemoryGroup() { remove(); }
  MemoryGroup(const MemoryGroup&) = delete;
  MemoryGroup& operator=(const MemoryGroup&) = delete;

  bool is_there() const { return !path_.empty(); }
  bool limit(long bytes) const { return put(limit_file(), std::to_string(bytes)); }
  bool take(pid_t process) const { return put(path_ / "cgroup.procs", std::to_string(process)); }

 private:
  static std::optional<std::filesystem::path> own_group() {
    std::ifstream groups("/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {
      const size_t memory = line.find(":memory:");
      if (memory != std::string::npos) return "/sys/fs/cgroup/memory" + line.substr(memory + 8);
      if (line.starts_with("0::/") && std::filesystem::exists("/sys/fs/cgroup/cgroup.controllers"))
        return "/sys/fs/cgroup" + line.substr(3);
    }
    return std::nullopt;
  }
  std::filesystem::path limit_file() const {
    const auto first = path_ / "memory.limit_in_bytes";
    return std::filesystem::exists(first) ? first : path_ / "memory.max";
  }
  static bool put(const std::filesystem::path& file, const std::string& text) {
    std::ofstream to(file);
    to << text;
    to.flush();
    return to.good();
  }
  void remove() {
    if (path_.empty()) return;
    rmdir(path_.c_str());
    path_.clear();
  }

  std::filesystem::path path_;
};

// Started again and again with a little more, until it is enough: whoever is out of memory is killed by the
// kernel, while it loads, steps, evaluates or saves.
TEST(OutOfMemoryMounted, InAControlGroupLosesNothing) {
  const MemoryGroup group;
  if (!group.is_there()) GTEST_SKIP() << "no control group of memory can be made here";
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), short_run());
  int kills = 0;
  for (long megabytes = 4;; megabytes += 4) {
    ASSERT_LT(megabytes, 2000);
    BackgroundProgram program(run.arguments(), run.log().string(), {"DDRO_FAILPOINT=rows.block:1:stop"});
    ASSERT_TRUE(program.wait_for_halt(60)) << program.output();
    ASSERT_TRUE(group.limit(megabytes << 20));
    ASSERT_TRUE(group.take(program.pid()));
    program.send(SIGCONT);
    const ExitStatus status = program.wait(120);
    if (status.code == 0) break;
    ASSERT_EQ(status.signal, SIGKILL) << program.output();
    ++kills;
  }
  EXPECT_GT(kills, 3);
  expect_as_undisturbed(run, "too little memory");
  std::printf("out of memory: %d kills\n", kills);
}

}  // namespace
}  // namespace ddro::test
