// Runs in several ranks.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <string>
#include <vector>

#include "tiny_run.h"

namespace ddro::test {

using Clock = std::chrono::steady_clock;

// The shortest time-out; some seconds of it are for finding out who is lost.
inline const std::vector<std::string> kSoon = {"distributed.timeout_s=10"};
inline constexpr double kGoneWithin = 20;  // s, on a machine that is busy with other tests

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Options of a run in `count` ranks that the program starts itself.
inline std::vector<std::string> ranks(int count, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"--nproc", std::to_string(count)});
  return more;
}

inline sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

// A socket that listens on the loopback and never answers; the port is another's while it exists.
class TakenPort {
 public:
  TakenPort() : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    bind(socket_, reinterpret_cast<sockaddr*>(&address), size);
    listen(socket_, 1);
    getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~TakenPort() { close(socket_); }
  int port() const { return port_; }

 private:
  int socket_;
  int port_ = 0;
};

inline int free_port() { return TakenPort().port(); }

// Variables of one of several ranks that something else has started, at a port of the loopback.
inline std::vector<std::string> started(int rank, int port, int size = 2) {
  return {"WORLD_SIZE=" + std::to_string(size),
          "RANK=" + std::to_string(rank),
          "LOCAL_WORLD_SIZE=" + std::to_string(size),
          "LOCAL_RANK=" + std::to_string(rank),
          "MASTER_ADDR=127.0.0.1",
          "MASTER_PORT=" + std::to_string(port)};
}

// The processes of a run's ranks, by rank: the order in which they were started.
inline std::vector<pid_t> children_of(pid_t starter) {
  std::ifstream file("/proc/" + std::to_string(starter) + "/task/" + std::to_string(starter) + "/children");
  std::vector<pid_t> children;
  for (pid_t child = 0; file >> child;) children.push_back(child);
  return children;
}

inline bool is_gone(pid_t process) {
  for (int i = 0; i < 100 && kill(process, 0) == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  return kill(process, 0) != 0;
}

}  // namespace ddro::test
