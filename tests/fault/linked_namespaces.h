// Two network namespaces of this machine, joined by a link that takes its time, loses packets, or is cut: as
// two machines see each other. The link is a pair of tun devices, whose packets a thread of the test passes
// on.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace ddro::test {

class LinkedNamespaces {
 public:
  using Clock = std::chrono::steady_clock;

  struct Link {
    std::chrono::milliseconds delay{0};  // of each packet, one way
    double loss = 0;                     // share of the packets, drawn at random
  };

  explicit LinkedNamespaces(const Link& link)
      : link_(link), home_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
    for (size_t side = 0; side < 2; ++side) {
      if (unshare(CLONE_NEWNET) != 0) break;
      ends_[side].space = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
      ends_[side].device = make_device(address(side));
      setns(home_, CLONE_NEWNET);
    }
    if (are_there()) thread_ = std::thread([this] { pass_on(); });
  }
  ~LinkedNamespaces() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    for (const End& end : ends_) {
      close(end.device);
      close(end.space);
    }
    close(home_);
  }
  LinkedNamespaces(const LinkedNamespaces&) = delete;
  LinkedNamespaces& operator=(const LinkedNamespaces&) = delete;

  // False where this process may not make them.
  bool are_there() const { return ends_[0].device >= 0 && ends_[1].device >= 0; }

  static std::string address(size_t side) { return "10.14.0." + std::to_string(side + 1); }

  // Has `start` begin a program on a side.
  template <typename Start>
  auto on_side(size_t side, const Start& start) const {
    struct Back {
      int home;
      ~Back() { setns(home, CLONE_NEWNET); }
    } const back{home_};
    if (setns(ends_[side].space, CLONE_NEWNET) != 0) throw std::runtime_error("no way into the namespace");
    return start();
  }

  // Without a word to either side.
  void cut() { is_cut_ = true; }
  void mend() { is_cut_ = false; }

  long passed_on() const { return passed_on_; }
  long lost() const { return lost_; }

 private:
  struct End {
    int space = -1;
    int device = -1;
  };
  struct Packet {
    Clock::time_point due;
    size_t to = 0;
    std::vector<char> bytes;
  };

  // Of the namespace that this thread is in; -1 where that is not allowed.
  static int make_device(const std::string& own_address) {
    const int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    ifreq request{};
    std::strcpy(request.ifr_name, "link");
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (device < 0 || ioctl(device, TUNSETIFF, &request) != 0) {
      close(device);
      return -1;
    }
    const int settings = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const auto set_address = [&](unsigned long what, const std::string& text) {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      inet_pton(AF_INET, text.c_str(), &address.sin_addr);
      std::memcpy(&request.ifr_addr, &address, sizeof address);
      ioctl(settings, what, &request);
    };
    set_address(SIOCSIFADDR, own_address);
    set_address(SIOCSIFNETMASK, "255.255.255.0");
    for (const char* name : {"link", "lo"}) {
      std::strcpy(request.ifr_name, name);
      request.ifr_flags = IFF_UP | IFF_RUNNING;
      ioctl(settings, SIOCSIFFLAGS, &request);
    }
    close(settings);
    return device;
  }

  // The delay is the same for all packets, so that they stay in their order.
  void pass_on() {
    std::mt19937 random(20261134);
    std::bernoulli_distribution loses(link_.loss);
    std::deque<Packet> under_way;
    while (!stopping_) {
      const bool is_due_soon = !under_way.empty() && under_way.front().due - Clock::now() < kTick;
      std::array<pollfd, 2> ready{pollfd{ends_[0].device, POLLIN, 0}, pollfd{ends_[1].device, POLLIN, 0}};
      poll(ready.data(), ready.size(), is_due_soon ? 0 : static_cast<int>(kTick.count()));
      for (size_t side = 0; side < 2; ++side) {
        std::array<char, 1 << 16> bytes{};
        for (ssize_t size = 0; (size = read(ends_[side].device, bytes.data(), bytes.size())) > 0;) {
          if (is_cut_ || loses(random)) {
            ++lost_;
          } else {
            under_way.push_back({Clock::now() + link_.delay, 1 - side, {bytes.data(), bytes.data() + size}});
          }
        }
      }
      for (; !under_way.empty() && under_way.front().due <= Clock::now(); under_way.pop_front()) {
        const Packet& packet = under_way.front();
        const bool arrived = write(ends_[packet.to].device, packet.bytes.data(), packet.bytes.size()) > 0;
        ++(arrived ? passed_on_ : lost_);
      }
    }
  }

  static constexpr std::chrono::milliseconds kTick{1};

  Link link_;
  int home_;
  std::array<End, 2> ends_;
  std::atomic<bool> is_cut_ = false, stopping_ = false;
  std::atomic<long> passed_on_ = 0, lost_ = 0;
  std::thread thread_;
};

}  // namespace ddro::test
