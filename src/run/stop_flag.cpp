#include "run/stop_flag.h"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>

#include "ddro/base/error.h"
#include "ddro/base/heartbeat.h"

namespace ddro::run {
namespace {

// Atomic: any thread of the process may get the signal.
std::atomic<int> caught_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free, "a handler may not wait for a lock");

struct Handled {
  int number;
  const char* name;
};
constexpr std::array<Handled, 4> kHandled = {
    {{SIGINT, "SIGINT"}, {SIGTERM, "SIGTERM"}, {SIGUSR1, "SIGUSR1"}, {SIGHUP, "SIGHUP"}}};

// nohup has it ignored, and means it.
bool is_ignored_hangup(int number) {
  struct sigaction current {};
  return number == SIGHUP && sigaction(number, nullptr, &current) == 0 && current.sa_handler == SIG_IGN;
}

void set_handlers(void (*handler)(int)) {
  for (const Handled& handled : kHandled) {
    if (is_ignored_hangup(handled.number)) continue;
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigaction(handled.number, &action, nullptr);
  }
}

// Runs on a signal: only what is safe there. The next signal gets the default action, which ends the process.
void on_signal(int number) {
  caught_signal = number;
  set_handlers(SIG_DFL);
}

}  // namespace

StopFlag::StopFlag(double save_before_timeout_s) : margin_s_(save_before_timeout_s) {
  caught_signal = 0;
  set_handlers(on_signal);
  if (const char* end = std::getenv("SLURM_JOB_END_TIME")) {
    const double end_s = std::strtod(end, nullptr);
    if (end_s > 0) stop_at_ = end_s - margin_s_;
  }
}

StopFlag::~StopFlag() { set_handlers(SIG_DFL); }

bool StopFlag::requested() const {
  return !agreed_.empty() || caught_signal != 0 || (stop_at_ > 0 && seconds_since_1970() >= stop_at_);
}

bool StopFlag::agree(const dist::Communicator& ranks) const {
  if (ranks.size() == 1 || !agreed_.empty()) return requested();
  if (!ranks.any(requested())) return false;
  for (const std::string& reason : ranks.all_gather(requested() ? own_reason() : std::string())) {
    if (agreed_.empty()) agreed_ = reason;
  }
  return true;
}

std::string StopFlag::reason() const { return agreed_.empty() ? own_reason() : agreed_; }

std::string StopFlag::own_reason() const {
  for (const Handled& handled : kHandled) {
    if (caught_signal == handled.number) return handled.name;
  }
  return std::to_string(static_cast<long>(margin_s_)) + " s before the job's time limit";
}

void StopFlag::leave_if_requested(const dist::Communicator& ranks) const {
  if (agree(ranks)) leave_before_first_step();
}

void StopFlag::leave_before_first_step() const {
  throw Error(ErrorKind::kInterrupted,
              "[train] stopped by " + reason() +
                  " before the first step; nothing is lost, run the same command again");
}

}  // namespace ddro::run
