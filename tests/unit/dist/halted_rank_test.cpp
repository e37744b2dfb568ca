// Rank 0, which serves the store, is halted: its connections stay, and nothing answers there.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "ddro/base/error.h"
#include "ddro/base/files.h"
#include "ddro/dist/rank.h"
#include "dist/sockets.h"
#include "support/temporary_folder.h"

namespace ddro::dist {
namespace {

using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;
using std::chrono::seconds;

constexpr int kTimeout = 10;  // s, the shortest

struct Left {
  int code = -1;  // -1: it did not leave
  std::string errors;
};

// As the program does it: an error becomes a line and its exit code.
using Work = std::function<void(Rank& self)>;

int be_rank(int rank, int port, std::optional<int> socket, int timeout_s, const Work& work) {
  Launch launch;
  launch.rank = launch.local_rank = rank;
  launch.size = launch.local_size = 2;
  launch.address = "127.0.0.1";
  launch.port = port;
  launch.socket = socket;
  try {
    Rank self(launch, {.timeout_s = timeout_s});
    self.run([&] { work(self); });
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    std::fflush(stderr);
    return error.exit_code();
  } catch (const EndedByOther& ended) {
    return ended.exit_code;
  }
  return 0;
}

// Rank 0, which does `first`, is halted when both ranks have met; then rank 1 begins with `second`. How that
// leaves: while rank 0 is halted, or `for_s` seconds later goes on.
struct Halt {
  Work first = [](Rank&) { std::this_thread::sleep_for(seconds(60)); };
  int for_s = 20;
  int timeout_s = kTimeout;
};

Left leaves(const Work& second, const Halt& halt = {}) {
  const test::TemporaryFolder folder;
  const auto errors = folder / "errors", met = folder / "met", halted = folder / "halted";
  const auto wait_for = [](const std::filesystem::path& file) {
    while (!std::filesystem::exists(file)) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  };
  const BoundSocket socket = bind_socket("127.0.0.1", 0);
  std::fflush(nullptr);
  const pid_t first_pid = fork();
  if (first_pid == 0) _exit(be_rank(0, socket.port, socket.descriptor, halt.timeout_s, halt.first));
  close(socket.descriptor);
  const pid_t second_pid = fork();
  if (second_pid == 0) {
    if (std::freopen(errors.c_str(), "w", stderr) == nullptr) _exit(99);
    _exit(be_rank(1, socket.port, {}, halt.timeout_s, [&](Rank& self) {
      std::this_thread::sleep_for(seconds(1));  // some beats
      std::ofstream(met).flush();
      wait_for(halted);
      second(self);
    }));
  }
  wait_for(met);
  kill(first_pid, SIGSTOP);
  std::ofstream(halted).flush();
  int status = 0;
  const auto gone_within = [&](int time_s) {
    const auto limit = Clock::now() + seconds(time_s);
    pid_t gone = 0;
    while ((gone = waitpid(second_pid, &status, WNOHANG)) == 0 && Clock::now() < limit)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return gone != 0;
  };
  bool gone = gone_within(halt.for_s);
  kill(first_pid, SIGCONT);
  gone = gone || gone_within(20);
  kill(first_pid, SIGKILL);
  waitpid(first_pid, nullptr, 0);
  Left left;
  if (!gone) {
    kill(second_pid, SIGKILL);
    waitpid(second_pid, nullptr, 0);
  } else if (WIFEXITED(status)) {
    left.code = WEXITSTATUS(status);
  }
  left.errors = read_file(errors);
  return left;
}

TEST(HaltedFirstRank, EndsOneThatAsksNothingOfIt) {
  const Left left = leaves([](Rank&) { std::this_thread::sleep_for(seconds(60)); });
  EXPECT_EQ(left.code, static_cast<int>(ErrorKind::kLost));
  EXPECT_THAT(left.errors, HasSubstr("[ranks] rank 0 is lost: its store has not answered for 5 s; if it is "
                                     "only slow, raise distributed.timeout_s (10); the last checkpoint is "
                                     "valid, run the same command again"));
}

// At once, and when a beat of it waits for the store already.
TEST(HaltedFirstRank, LeavesAnErrorOfAnotherToBeRead) {
  for (const int after_s : {0, 3}) {
    const auto begin = Clock::now();
    const Left left = leaves([&](Rank&) {
      std::this_thread::sleep_for(seconds(after_s));
      throw input_error("a bad row");
    });
    EXPECT_EQ(left.code, static_cast<int>(ErrorKind::kInput));
    EXPECT_EQ(left.errors, "a bad row\n");
    EXPECT_LT(Clock::now() - begin, seconds(kTimeout + after_s));
  }
}

// As one is that waits for its disk.
TEST(HaltedFirstRank, IsWaitedForUntilTheTimeOut) {
  const Work join = [](Rank& self) { self.join(at::kCPU); };
  const Work join_late = [&](Rank& self) {
    std::this_thread::sleep_for(seconds(3));
    join(self);
  };
  const Left left = leaves(join, {.first = join_late, .for_s = 8, .timeout_s = 60});
  EXPECT_EQ(left.code, 0) << left.errors;
}

}  // namespace
}  // namespace ddro::dist
