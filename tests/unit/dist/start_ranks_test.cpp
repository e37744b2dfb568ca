// What is started is this program again, which is a rank then before it comes to its tests.
#include "ddro/dist/start_ranks.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include "ddro/base/error.h"

namespace ddro::dist {
namespace {

using std::chrono::seconds;

constexpr const char* kCodes = "CODES_OF_RANKS";

// By rank: a digit is the exit code, a dash is never to end.
[[noreturn]] void be_rank(char what) {
  if (what == '-') std::this_thread::sleep_for(std::chrono::hours(1));
  _exit(what - '0');
}

[[maybe_unused]] const bool kIsTest = [] {
  const char* codes = std::getenv(kCodes);
  if (codes != nullptr) be_rank(codes[std::atoi(std::getenv("RANK"))]);
  return true;
}();

int start(const std::string& codes, seconds timeout) {
  setenv(kCodes, codes.c_str(), 1);
  const int code = start_ranks(static_cast<int>(codes.size()), timeout);
  unsetenv(kCodes);
  return code;
}

TEST(StartRanks, EndsWithTheFirstCodeThatIsNotZero) {
  EXPECT_EQ(start("000", seconds(600)), 0);
  EXPECT_EQ(start("040", seconds(600)), 4);
}

TEST(StartRanks, WaitsTheTimeOutForThoseThatAreLeft) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(start("0-", seconds(3)), static_cast<int>(ErrorKind::kLost));
  const auto waited = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(waited, seconds(3));
  EXPECT_LT(waited, seconds(9));
}

}  // namespace
}  // namespace ddro::dist
