// Lines and progress of several threads at once.
#include "ddro/base/log.h"

#include <gmock/gmock.h>
#include <pty.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "ddro/base/progress.h"

namespace ddro {
namespace {

using testing::ElementsAre;
using testing::MatchesRegex;
using testing::Pair;

constexpr int kTimes = 50;

// Makes stderr a terminal until what was written there is asked for.
class Terminal {
 public:
  Terminal() : before_(dup(STDERR_FILENO)) {
    int end = -1;
    if (openpty(&own_end_, &end, nullptr, nullptr, nullptr) != 0)
      throw std::system_error(errno, std::generic_category(), "openpty");
    dup2(end, STDERR_FILENO);
    close(end);
    reader_ = std::thread([this] { read_all(); });
  }
  ~Terminal() {
    close(own_end_);
    close(before_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  std::string take() {
    dup2(before_, STDERR_FILENO);  // closes the end that was written to, so that reading ends
    reader_.join();
    return text_;
  }

 private:
  void read_all() {
    char part[1024];
    for (ssize_t count = 0; (count = read(own_end_, part, sizeof part)) > 0;)
      text_.append(part, static_cast<size_t>(count));
  }

  int before_;
  int own_end_ = -1;
  std::string text_;
  std::thread reader_;
};

// What follows each "back to the line's begin, and wipe it".
std::vector<std::string> drawn(const std::string& text) {
  const std::string wipe = "\r\033[K";
  std::vector<std::string> parts;
  for (size_t at = text.find(wipe); at != std::string::npos;) {
    const size_t begin = at + wipe.size();
    at = text.find(wipe, begin);
    parts.push_back(text.substr(begin, at - begin));
  }
  return parts;
}

TEST(Log, KeepsTheLinesOfSeveralThreadsWhole) {
  testing::internal::CaptureStderr();
  std::vector<std::thread> threads;
  for (const char letter : {'a', 'b', 'c'}) {
    threads.emplace_back([letter] {
      for (int i = 0; i < kTimes; ++i) log_info(std::string(60, letter));
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::istringstream lines(testing::internal::GetCapturedStderr());
  std::map<std::string, int> counts;
  for (std::string line; std::getline(lines, line);) ++counts[line.substr(line.rfind(' ') + 1)];
  EXPECT_THAT(counts, ElementsAre(Pair(std::string(60, 'a'), kTimes), Pair(std::string(60, 'b'), kTimes),
                                  Pair(std::string(60, 'c'), kTimes)));
}

TEST(Progress, IsDrawnWholeWhileAnotherThreadRemarksOnIt) {
  Terminal terminal;
  {
    Progress progress("steps", 2 * kTimes);
    progress.update(1, 0, "loss");
    std::thread other([&] {
      for (int i = 0; i < kTimes; ++i) progress.remark("waits");
    });
    for (int i = 0; i < kTimes; ++i) progress.update(i + 1, 0, "loss");
    other.join();
  }
  std::vector<std::string> bars = drawn(terminal.take());
  ASSERT_EQ(bars.size(), 2u * kTimes + 2);
  EXPECT_EQ(bars.back(), "");
  bars.pop_back();
  EXPECT_THAT(bars, testing::Each(
                        MatchesRegex(R"(steps \[#*-*\] [0-9]+/100  [0-9]+:[0-9][0-9] left  (loss|waits))")));
}

}  // namespace
}  // namespace ddro
