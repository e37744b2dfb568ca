// The network between processes of this machine, as a machine that is cut off sees it.
#pragma once

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

namespace ddro::test {

// TCP connections of `process`, as descriptors of the caller.
inline std::vector<int> connections_of(pid_t process) {
  std::vector<int> connections;
  const int handle = static_cast<int>(syscall(SYS_pidfd_open, process, 0));
  if (handle < 0) return connections;
  std::error_code ended;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/fd", ended)) {
    const int there = std::stoi(entry.path().filename().string());
    const int here = static_cast<int>(syscall(SYS_pidfd_getfd, handle, there, 0));
    sockaddr_storage other{};
    socklen_t size = sizeof other;
    const bool is_connected = here >= 0 && getpeername(here, reinterpret_cast<sockaddr*>(&other), &size) == 0;
    if (is_connected && (other.ss_family == AF_INET || other.ss_family == AF_INET6)) {
      connections.push_back(here);
    } else if (here >= 0) {
      close(here);
    }
  }
  close(handle);
  return connections;
}

// Ends TCP connections of `process`, those that `chosen` picks by their number; how many that were.
template <typename Chosen>
int cut_links(pid_t process, const Chosen& chosen) {
  const std::vector<int> connections = connections_of(process);
  int cut = 0;
  for (size_t i = 0; i < connections.size(); ++i) {
    if (chosen(i)) cut += shutdown(connections[i], SHUT_RDWR) == 0;
    close(connections[i]);
  }
  return cut;
}

}  // namespace ddro::test
