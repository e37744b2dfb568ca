#include "ddro/dist/start_ranks.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "ddro/base/error.h"
#include "ddro/base/log.h"
#include "dist/sockets.h"

extern char** environ;

namespace ddro::dist {
namespace {

using Clock = std::chrono::steady_clock;

// For the others, once a rank has failed; and at most, once one has left, which none does before all have
// done their work.
constexpr std::chrono::seconds kTimeToEnd{10};
constexpr std::chrono::seconds kMostTimeToLeave{60};
constexpr const char* kLoopback = "127.0.0.1";

// Signals that the ranks get from here: not those that are blocked, as a batch script may have it, or
// ignored, as under nohup.
sigset_t forwarded_signals() {
  sigset_t blocked, set;
  sigprocmask(SIG_BLOCK, nullptr, &blocked);
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGUSR1, SIGHUP}) {
    struct sigaction action {};
    sigaction(number, nullptr, &action);
    if (sigismember(&blocked, number) == 0 && action.sa_handler != SIG_IGN) sigaddset(&set, number);
  }
  return set;
}

std::vector<std::string> own_arguments() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::string> arguments;
  for (size_t begin = 0; begin < text.size(); begin = text.find('\0', begin) + 1)
    arguments.emplace_back(text.c_str() + begin);
  return arguments;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

class StartedRanks {
 public:
  StartedRanks(int count, std::chrono::seconds timeout)
      : socket_(bind_socket(kLoopback, 0)), time_to_leave_(std::min(timeout, kMostTimeToLeave)) {
    signals_ = forwarded_signals();
    sigset_t waited = signals_;
    sigaddset(&waited, SIGCHLD);
    sigprocmask(SIG_BLOCK, &waited, &old_mask_);
    for (int rank = 0; rank < count; ++rank) children_.push_back(start(rank, count));
    close(socket_.descriptor);
  }
  ~StartedRanks() { sigprocmask(SIG_SETMASK, &old_mask_, nullptr); }
  StartedRanks(const StartedRanks&) = delete;
  StartedRanks& operator=(const StartedRanks&) = delete;

  int wait() {
    sigset_t waited = signals_;
    sigaddset(&waited, SIGCHLD);
    while (num_left() > 0) {
      const timespec second{1, 0};
      const int number = sigtimedwait(&waited, nullptr, &second);
      if (number > 0 && number != SIGCHLD) pass_on(number);
      collect();
      if (Clock::now() >= kill_at_) send_to_all(SIGKILL);
    }
    return code_;
  }

 private:
  // In a process group of its own, so that a terminal's Ctrl-C comes once, from here.
  pid_t start(int rank, int count) {
    const std::vector<std::string> arguments = own_arguments();
    const std::vector<std::string> variables = variables_of(rank, count);
    const std::vector<char*> argv = pointers(arguments);
    const std::vector<char*> envp = pointers(variables);
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child < 0) {
      const std::string reason = std::strerror(errno);
      send_to_all(SIGKILL);
      throw input_error("[--nproc] rank " + std::to_string(rank) + " cannot be started: " + reason);
    }
    if (child > 0) return child;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);  // the ranks save and leave should this process be killed
    if (getppid() != parent) _exit(static_cast<int>(ErrorKind::kLost));
    if (rank == 0) fcntl(socket_.descriptor, F_SETFD, 0);
    sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
    execve("/proc/self/exe", argv.data(), envp.data());
    _exit(static_cast<int>(ErrorKind::kInternal));
  }

  std::vector<std::string> variables_of(int rank, int count) const {
    std::vector<std::string> all(environ, environ + std::distance(environ, end_of_environment()));
    for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
             {"RANK", std::to_string(rank)},
             {"WORLD_SIZE", std::to_string(count)},
             {"LOCAL_RANK", std::to_string(rank)},
             {"LOCAL_WORLD_SIZE", std::to_string(count)},
             {"MASTER_ADDR", kLoopback},
             {"MASTER_PORT", std::to_string(socket_.port)},
             {"TORCHELASTIC_USE_AGENT_STORE", "False"},
             {"TORCHELASTIC_RESTART_COUNT", "0"},
             {"DDRO_STARTED_BY_NPROC", "1"},
             {"DDRO_LISTENING_SOCKET", std::to_string(socket_.descriptor)}}) {
      std::erase_if(all, [&](const std::string& entry) { return entry.starts_with(name + "="); });
      all.push_back(name + "=" + value);
    }
    return all;
  }

  static char** end_of_environment() {
    char** entry = environ;
    while (*entry != nullptr) ++entry;
    return entry;
  }

  size_t num_left() const {
    size_t left = 0;
    for (const pid_t child : children_) left += child > 0;
    return left;
  }

  void send_to_all(int number) const {
    for (const pid_t child : children_) {
      if (child > 0) kill(child, number);
    }
  }

  void pass_on(int number) {
    passed_on_.insert(number);
    send_to_all(number);
  }

  void collect() {
    for (size_t rank = 0; rank < children_.size(); ++rank) {
      int status = 0;
      if (children_[rank] <= 0 || waitpid(children_[rank], &status, WNOHANG) == 0) continue;
      children_[rank] = 0;
      const int code = code_of(static_cast<int>(rank), status);
      kill_at_ = std::min(kill_at_, Clock::now() + (code == 0 ? time_to_leave_ : kTimeToEnd));
      if (code_ == 0) code_ = code;
    }
  }

  // Says so where the rank itself could not.
  int code_of(int rank, int status) const {
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    const int number = WTERMSIG(status);
    if (passed_on_.contains(number)) return 128 + number;
    if (code_ == 0)
      log_error("rank " + std::to_string(rank) + " was ended by signal " + std::to_string(number) + " (" +
                strsignal(number) + ")");
    return static_cast<int>(ErrorKind::kLost);
  }

  BoundSocket socket_;
  std::chrono::seconds time_to_leave_;
  sigset_t signals_{};
  sigset_t old_mask_{};
  std::vector<pid_t> children_;  // by rank; 0 once it has ended
  std::set<int> passed_on_;
  int code_ = 0;
  Clock::time_point kill_at_ = Clock::time_point::max();
};

}  // namespace

int start_ranks(int count, std::chrono::seconds timeout) { return StartedRanks(count, timeout).wait(); }

}  // namespace ddro::dist
