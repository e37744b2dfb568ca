#include "run/mlflow_sink.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "ddro/base/log.h"

namespace ddro::run {
namespace {

using namespace std::chrono_literals;

constexpr auto kClosingTime = 5s;
constexpr std::chrono::seconds kShortestPause = 1s, kLongestPause = 60s;

// A connection that breaks raises SIGPIPE in TLS; a run's own signals are another thread's.
void take_no_signals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace

MlflowSink::MlflowSink(const std::filesystem::path& folder, MlflowSettings settings, std::int64_t last_step)
    : folder_(folder),
      lines_(folder / kMlflowLines, last_step),
      queue_(folder, std::move(settings), last_step < 0, [this] { return Clock::now() > deadline_.load(); }),
      thread_([this] { deliver(); }) {}

MlflowSink::~MlflowSink() {
  deadline_ = Clock::now() + kClosingTime;
  wake(closing_);
  thread_.join();
}

void MlflowSink::write(const std::string& kind, std::int64_t step, const losses::Metrics& metrics) {
  lines_.append(mlflow_line(kind, step, metrics));
  wake(has_news_);
}

void MlflowSink::end() { wake(ended_); }

void MlflowSink::wake(std::atomic<bool>& flag) {
  const std::lock_guard lock(mutex_);
  flag = has_news_ = true;
  changed_.notify_all();
}

// Until there is something to do; after a failure not before its time, unless the run closes.
void MlflowSink::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, pause_, [&] { return closing_.load(); });
  changed_.wait(lock, [&] { return has_news_ || closing_; });
  has_news_ = false;
}

void MlflowSink::deliver() {
  take_no_signals();
  for (bool is_last = false; !is_last;) {
    wait();
    is_last = closing_;
    try {
      while (queue_.send_some()) {
      }
      if (ended_) queue_.finish();
      note_success();
    } catch (const std::exception& error) {
      note_failure(error.what());
    }
  }
}

void MlflowSink::note_success() {
  if (pause_ > 0s) log_info("[mlflow] " + queue_.tracking_uri() + " has got every line");
  pause_ = 0s;
}

void MlflowSink::note_failure(const std::string& why) {
  if (pause_ == 0s || closing_) {
    log_warning("[mlflow] " + queue_.tracking_uri() + ": " + why + "; what it lacks waits in " +
                (folder_ / kMlflowLines).string() +
                (closing_ ? ", the same command sends it" : ", the run goes on"));
  }
  pause_ = std::clamp(2 * pause_, kShortestPause, kLongestPause);
  const std::lock_guard lock(mutex_);
  has_news_ = true;
}

}  // namespace ddro::run
