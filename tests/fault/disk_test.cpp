// Disks that are full, read-only, broken or slow. Every single call: campaign_test.cpp.
#include "fault/failing_calls.h"

namespace ddro::test {
namespace {

TEST(DiskFaults, AFailingCallLosesNothing) {
  for (const char* rule :
       {"open:5:EROFS", "write:20-60:ENOSPC", "fsync:12:EIO", "rename:4:EIO", "mkdir:3:EDQUOT"})
    expect_survived(rule);
}

TEST(DiskFaults, ShortWritesAndInterruptedCallsAreFinished) {
  for (const char* rule : {"write:1-100000:short", "write:1-40:EINTR"}) {
    const TemporaryFolder folder;
    const TinyRun run(folder.path(), short_run());
    ASSERT_EQ(run.run({}, faulty_disk(run.output_dir(), {std::string("DDRO_DISK_FAIL=") + rule})), 0)
        << run.log_text();
    expect_as_undisturbed(run, rule);
  }
}

TEST(DiskFaults, ASlowDiskChangesNothing) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), short_run());
  ASSERT_EQ(run.run({}, faulty_disk(run.output_dir(), {"DDRO_DISK_DELAY_MS=3"})), 0) << run.log_text();
  expect_as_undisturbed(run, "a slow disk");
}

}  // namespace
}  // namespace ddro::test
