// Places on the network, none of them on every interface: Error(kInput) for a host that stands for all, or
// that is not known. A name server that does not answer is asked again until `timeout`.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace ddro::dist {

struct BoundSocket {
  int descriptor = -1;  // closed by an exec
  int port = 0;
};

// A TCP socket bound to one address of this machine; port 0: to one that is free. Error(kInput) when the
// address is not this machine's or the port is in use.
BoundSocket bind_socket(const std::string& host, int port, std::chrono::seconds timeout = {});

// The numeric address to which a socket is bound, if only this machine reaches it.
std::optional<std::string> loopback_address(int descriptor);

// Waits until something accepts connections there; false after `timeout`. Error(kInput) for an unknown host.
bool wait_for_listener(const std::string& host, int port, std::chrono::seconds timeout);

// The numeric address by which this machine reaches `host`; Error(kInput) where there is none.
std::string own_address_towards(const std::string& host, std::chrono::seconds timeout);

}  // namespace ddro::dist
