// Disks that are full, read-only, broken or slow. Every single call: campaign_test.cpp.
#include "fault/failing_calls.h"

namespace ddro::test {
namespace {

TEST(DiskFaults, AFailingCallLosesNothing) {
  for (const char* rule :
       {"open:5:EROFS", "write:20-60:ENOSPC", "fsync:12:EIO", "rename:4:EIO", "mkdir:3:EDQUOT",
        // Of a network's disk: what was written is refused at the end, and a name leads nowhere.
        "close:9:EDQUOT", "open:7:ESTALE", "rename:3:ESTALE"})
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

// Each write by as much, or each call by a random time, as over a network.
TEST(DiskFaults, ASlowDiskChangesNothing) {
  for (const char* slowness : {"DDRO_DISK_DELAY_MS=3", "DDRO_DISK_LAG_MS=40"}) {
    const TemporaryFolder folder;
    const TinyRun run(folder.path(), short_run());
    ASSERT_EQ(run.run({}, faulty_disk(run.output_dir(), {slowness})), 0) << run.log_text();
    expect_as_undisturbed(run, slowness);
  }
}

}  // namespace
}  // namespace ddro::test
