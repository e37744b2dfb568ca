// Memory of made-up machines: files of /proc and /sys in a folder.
#include "ddro/base/memory.h"

#include <gtest/gtest.h>

#include <vector>

#include "support/temporary_folder.h"

namespace ddro {
namespace {

class Memory : public testing::Test {
 protected:
  void file(const std::string& path, const std::string& content) { folder_.write(path, content); }
  std::optional<double> available() const { return available_memory(folder_.path()); }
  std::optional<double> resident() const { return resident_memory(folder_.path()); }
  std::optional<double> peak() const { return peak_resident_memory(folder_.path()); }

  test::TemporaryFolder folder_;
};

TEST_F(Memory, OfTheMachine) {
  EXPECT_EQ(available(), std::nullopt);
  file("proc/meminfo", "MemTotal:  32000000 kB\nMemFree:  1000 kB\nMemAvailable:  20000 kB\n");
  EXPECT_EQ(available(), 20000 * 1024.0);
}

TEST_F(Memory, OfThisProcess) {
  EXPECT_EQ(resident(), std::nullopt);
  EXPECT_EQ(peak(), std::nullopt);
  file("proc/self/status",
       "Name:\tddro-train\nVmHWM:\t    3000 kB\nVmRSS:\t    2000 kB\nRssAnon:\t 1000 kB\n");
  EXPECT_EQ(resident(), 2000 * 1024.0);
  EXPECT_EQ(peak(), 3000 * 1024.0);
}

TEST(ProcessMemory, PeaksWhereABlockComesAndGoes) {
  constexpr size_t kBytes = size_t{256} << 20;
  {
    const std::vector<char> block(kBytes, 'x');
    EXPECT_GT(*resident_memory(), static_cast<double>(kBytes));
  }
  EXPECT_LT(*resident_memory(), static_cast<double>(kBytes));
  EXPECT_GT(*peak_resident_memory(), static_cast<double>(kBytes));
}

TEST_F(Memory, OfAGroupOfVersion2AndThoseAbove) {
  file("proc/meminfo", "MemAvailable:  20000 kB\n");
  file("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  file("proc/self/cgroup", "0::/jobs/one\n");
  file("sys/fs/cgroup/jobs/one/memory.max", "max\n");
  file("sys/fs/cgroup/jobs/one/memory.current", "5000\n");
  EXPECT_EQ(available(), 20000 * 1024.0);
  file("sys/fs/cgroup/jobs/memory.max", "9000\n");
  file("sys/fs/cgroup/jobs/memory.current", "6000\n");
  EXPECT_EQ(available(), 3000);
  file("sys/fs/cgroup/jobs/memory.stat", "anon 4000\nfile 2000\ninactive_file 1500\n");
  EXPECT_EQ(available(), 5000);
  file("sys/fs/cgroup/jobs/memory.max", "1000\n");
  EXPECT_EQ(available(), 0);
}

TEST_F(Memory, OfAGroupOfVersion1) {
  file("proc/self/mountinfo", "33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  file("proc/self/cgroup", "4:memory:/job\n3:cpu:/other\n");
  file("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "9000\n");
  file("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "6000\n");
  file("sys/fs/cgroup/memory/job/memory.stat", "cache 10\ntotal_cache 500\n");
  EXPECT_EQ(available(), 3500);
}

}  // namespace
}  // namespace ddro
