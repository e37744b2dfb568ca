#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>

#include <iterator>

#include "doctor/checks.h"
#include "support/in_child.h"
#include "unit/doctor/small_machine.h"

namespace ddro::doctor {
namespace {

using test::in_child;
using test::named;
using test::SmallMachine;
using test::TemporaryFolder;
using ::testing::HasSubstr;

Findings findings_of(const std::filesystem::path& folder) {
  Machine machine = SmallMachine().machine();
  machine.folder = folder;
  return check_disk(machine);
}

bool holds_nothing(const std::filesystem::path& folder) {
  return std::filesystem::directory_iterator(folder) == std::filesystem::directory_iterator();
}

TEST(Disk, IsWrittenToAndLeftAsItWas) {
  const TemporaryFolder folder;
  const Findings findings = findings_of(folder.path());
  EXPECT_EQ(named(findings, "disk_write").status, Status::kOk) << named(findings, "disk_write").text;
  for (const char* part : {"write_s", "fsync_s", "rename_s"})
    EXPECT_GT(named(findings, "disk_write").value.at(part).get<double>(), 0) << part;
  EXPECT_EQ(named(findings, "disk_space").value.get<std::uintmax_t>() >> 40,
            std::filesystem::space(folder.path()).available >> 40);
  EXPECT_TRUE(holds_nothing(folder.path()));
}

TEST(Disk, ThatCannotBeWrittenToIsFound) {
  const Finding found = named(findings_of("/proc/self"), "disk_write");
  EXPECT_EQ(found.status, Status::kFailed);
  EXPECT_THAT(found.text, HasSubstr("cannot be created"));
}

// Mounts a disk of 1 MiB on `folder`, in a process of its own, and ends with whether `sound` says so of it.
int on_small_disk(const std::filesystem::path& folder, unsigned long flags, const std::string& reason) {
  return in_child([&] {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", folder.c_str(), "tmpfs", flags, "size=1m") != 0)
      _exit(77);
    const Finding found = named(findings_of(folder), "disk_write");
    if (found.status != Status::kFailed || found.text.find(reason) == std::string::npos || found.hint.empty())
      throw std::runtime_error("another finding: " + to_line(found));
    if (!holds_nothing(folder)) throw std::runtime_error("something is left behind");
  });
}

void expect_found(unsigned long flags, const std::string& reason) {
  const TemporaryFolder folder;
  const int status = on_small_disk(folder.path(), flags, reason);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "mounting a disk is not allowed here";
  EXPECT_TRUE(test::ended_well(status));
}

TEST(Disk, ThatIsReadOnlyIsFound) { expect_found(MS_RDONLY, "Read-only file system"); }

TEST(Disk, ThatIsFullIsFound) { expect_found(0, "No space left on device"); }

}  // namespace
}  // namespace ddro::doctor
