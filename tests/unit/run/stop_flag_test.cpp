#include "run/stop_flag.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>

namespace ddro::run {
namespace {

TEST(StopFlag, IsRaisedByEachSignalOnce) {
  for (const int number : {SIGINT, SIGTERM, SIGUSR1, SIGHUP}) {
    StopFlag flag(120);
    EXPECT_FALSE(flag.requested());
    std::raise(number);
    EXPECT_TRUE(flag.requested());
  }
}

TEST(StopFlag, NamesTheSignal) {
  StopFlag flag(120);
  std::raise(SIGTERM);
  EXPECT_EQ(flag.reason(), "SIGTERM");
}

TEST(StopFlag, TheSecondSignalEndsTheProcess) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    StopFlag flag(120);
    std::raise(SIGTERM);
    std::raise(SIGINT);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGINT);
}

TEST(StopFlag, IsRaisedBeforeTheJobsEnd) {
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  setenv("SLURM_JOB_END_TIME", std::to_string(now + 600).c_str(), 1);
  EXPECT_FALSE(StopFlag(120).requested());
  const StopFlag near_end(1200);
  EXPECT_TRUE(near_end.requested());
  EXPECT_EQ(near_end.reason(), "1200 s before the job's time limit");
  unsetenv("SLURM_JOB_END_TIME");
  EXPECT_FALSE(StopFlag(1e9).requested());
}

}  // namespace
}  // namespace ddro::run
