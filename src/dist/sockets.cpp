#include "dist/sockets.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>

#include "ddro/base/error.h"

namespace ddro::dist {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kAskAgain{500};

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

bool is_every_interface(const sockaddr* address) {
  if (address->sa_family == AF_INET)
    return reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr == htonl(INADDR_ANY);
  if (address->sa_family != AF_INET6) return false;
  const in6_addr& six = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
  const std::uint8_t* last_four = six.s6_addr + 12;
  return IN6_IS_ADDR_UNSPECIFIED(&six) ||
         (IN6_IS_ADDR_V4MAPPED(&six) && std::all_of(last_four, last_four + 4, [](auto b) { return b == 0; }));
}

// A name server that does not answer for a moment is asked again until `limit`.
Addresses addresses_of(const std::string& host, int port, int type, Clock::time_point limit) {
  addrinfo hints{};
  hints.ai_socktype = type;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const auto look_up = [&] {
    return getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  };
  int error = look_up();
  while (error == EAI_AGAIN && Clock::now() < limit) {
    std::this_thread::sleep_for(kAskAgain);
    error = look_up();
  }
  if (error != 0) {
    throw input_error("[ranks] the address " + printable(host) + " cannot be found: " + gai_strerror(error) +
                      "; MASTER_ADDR names the machine of rank 0");
  }
  Addresses addresses(found, &freeaddrinfo);
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    if (!is_every_interface(at->ai_addr)) continue;
    throw input_error("[MASTER_ADDR] stands for every interface of a machine; got " + printable(host) +
                      ", expected the one address of rank 0's machine that the ranks reach");
  }
  return addresses;
}

int port_of(int descriptor) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

}  // namespace

BoundSocket bind_socket(const std::string& host, int port, std::chrono::seconds timeout) {
  int error = 0;
  const Addresses addresses = addresses_of(host, port, SOCK_STREAM, Clock::now() + timeout);
  for (const addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next) {
    const int descriptor = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    // A port whose last run has just ended can be taken again.
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    // Listening is what tells that another program listens there.
    if (bind(descriptor, at->ai_addr, at->ai_addrlen) == 0 && listen(descriptor, SOMAXCONN) == 0)
      return {descriptor, port_of(descriptor)};
    error = errno;
    if (descriptor >= 0) close(descriptor);
  }
  throw input_error("[ranks] " + printable(host) + ":" + std::to_string(port) +
                    ", where the ranks are to meet, cannot be had: " + std::strerror(error) +
                    "; MASTER_ADDR and MASTER_PORT name another place");
}

std::optional<std::string> loopback_address(int descriptor) {
  constexpr std::uint32_t kLoopbackNet = 127;
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  std::array<char, NI_MAXHOST> text{};
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      getnameinfo(reinterpret_cast<sockaddr*>(&address), size, text.data(), text.size(), nullptr, 0,
                  NI_NUMERICHOST) != 0)
    return std::nullopt;
  const bool is_loopback =
      address.ss_family == AF_INET6
          ? IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr)
          : ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr) >> 24 == kLoopbackNet;
  return is_loopback ? std::optional<std::string>(text.data()) : std::nullopt;
}

bool wait_for_listener(const std::string& host, int port, std::chrono::seconds timeout) {
  const auto limit = Clock::now() + timeout;
  const Addresses addresses = addresses_of(host, port, SOCK_STREAM, limit);
  while (Clock::now() < limit) {
    for (const addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next) {
      const int descriptor = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const timeval second{1, 0};
      setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof second);  // of connect()
      const bool accepted = connect(descriptor, at->ai_addr, at->ai_addrlen) == 0;
      if (descriptor >= 0) close(descriptor);
      if (accepted) return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

std::string own_address_towards(const std::string& host, std::chrono::seconds timeout) {
  constexpr int kAnyPort = 9;  // nothing is sent
  const Addresses addresses = addresses_of(host, kAnyPort, SOCK_DGRAM, Clock::now() + timeout);
  for (const addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next) {
    const int descriptor = socket(at->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    std::array<char, NI_MAXHOST> text{};
    const bool found = connect(descriptor, at->ai_addr, at->ai_addrlen) == 0 &&
                       getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
                       getnameinfo(reinterpret_cast<sockaddr*>(&address), size, text.data(), text.size(),
                                   nullptr, 0, NI_NUMERICHOST) == 0;
    if (descriptor >= 0) close(descriptor);
    if (found) return text.data();
  }
  throw input_error("[ranks] there is no way to the machine of rank 0, " + printable(host));
}

}  // namespace ddro::dist
