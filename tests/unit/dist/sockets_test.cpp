#include "dist/sockets.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <netdb.h>

#include "ddro/base/error.h"
#include "support/expect_error.h"

namespace {
int unanswered = 0;  // of the next questions for a host's address
}

// In place of the C library's.
extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints, addrinfo** found) {
  if (unanswered > 0) {
    --unanswered;
    return EAI_AGAIN;
  }
  static const auto original = reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return original(host, service, hints, found);
}

namespace ddro::dist {
namespace {

using ::testing::HasSubstr;

// In every way to write it, by the rank that listens and by those that come.
TEST(Sockets, AreNeverOnEveryInterface) {
  for (const char* host : {"0.0.0.0", "0", "::", "0::0", "::ffff:0.0.0.0"}) {
    const auto refused = HasSubstr("[MASTER_ADDR] stands for every interface of a machine; got " +
                                   std::string(host) + ", expected");
    EXPECT_THAT(test::message_of(ErrorKind::kInput, [&] { bind_socket(host, 0); }), refused);
    EXPECT_THAT(
        test::message_of(ErrorKind::kInput, [&] { wait_for_listener(host, 9, std::chrono::seconds(1)); }),
        refused);
  }
  EXPECT_GT(bind_socket("127.0.0.1", 0).port, 0);
}

TEST(Sockets, AskANameServerAgainUntilTheTimeOut) {
  constexpr std::chrono::seconds kShort(1), kLong(60);
  unanswered = 2;
  const int port = bind_socket("localhost", 0, kLong).port;
  unanswered = 2;
  EXPECT_TRUE(wait_for_listener("localhost", port, kLong));
  unanswered = 2;
  EXPECT_THAT(own_address_towards("127.0.0.1", kLong), "127.0.0.1");
  unanswered = 1000;
  EXPECT_THAT(test::message_of(ErrorKind::kInput, [&] { bind_socket("localhost", 0, kShort); }),
              HasSubstr("[ranks] the address localhost cannot be found"));
  EXPECT_LT(unanswered, 999);
  unanswered = 0;
}

}  // namespace
}  // namespace ddro::dist
