#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <string>

#include "ddro/checkpoint/checkpoint.h"
#include "support/expect_error.h"
#include "support/in_child.h"
#include "support/temporary_folder.h"

namespace ddro::checkpoint {
namespace {

using ddro::test::ended_well;
using ddro::test::in_child;
using ddro::test::message_of;
using ddro::test::TemporaryFolder;
using ::testing::HasSubstr;

TEST(RunLock, RefusesASecondOwnerByName) {
  const TemporaryFolder folder;
  const RunLock lock(folder.path());
  const std::string owner = "the folder is in use by process " + std::to_string(getpid()) + " on ";
  EXPECT_TRUE(ended_well(in_child([&] {
    const std::string message = message_of(ErrorKind::kInput, [&] { RunLock second(folder.path()); });
    if (message.find(owner) == std::string::npos) throw std::runtime_error(message);
  })));
}

TEST(RunLock, IsFreeAfterItsEnd) {
  const TemporaryFolder folder;
  { const RunLock lock(folder.path()); }
  EXPECT_NO_THROW(RunLock(folder.path()));
}

TEST(RunLock, IsFreeAfterItsHolderWasKilled) {
  const TemporaryFolder folder;
  in_child([&] {
    const RunLock lock(folder.path());
    raise(SIGKILL);
  });
  EXPECT_NO_THROW(RunLock(folder.path()));
}

TEST(RunLock, IsNotInheritedByAStartedProgram) {
  const TemporaryFolder folder;
  pid_t program = 0;
  {
    const RunLock lock(folder.path());
    program = fork();
    if (program == 0) {
      execlp("sleep", "sleep", "30", nullptr);
      _exit(127);
    }
    // The descriptor closes when sleep has replaced this program; until then the child holds the lock, too.
    usleep(200'000);
  }
  EXPECT_NO_THROW(RunLock(folder.path()));
  kill(program, SIGKILL);
  int status = 0;
  waitpid(program, &status, 0);
}

TEST(RunLock, NamesAFolderThatIsMissing) {
  EXPECT_THAT(message_of(ErrorKind::kSave, [] { RunLock lock("/nonexistent/run"); }),
              HasSubstr("/nonexistent/run/.lock"));
}

}  // namespace
}  // namespace ddro::checkpoint
