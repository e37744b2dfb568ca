// Metrics to an MLflow tracking server, each step once over any number of restarts, whatever the server does.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

#include "run/metrics_sink.h"
#include "run/mlflow_queue.h"
#include "run/step_lines.h"

namespace ddro::run {

// Lines wait in mlflow.jsonl of the run's folder; a thread reads them there and sends them, so that neither a
// slow server nor one that is away takes time or memory of the run. What is not sent at its end waits for the
// next start.
class MlflowSink final : public MetricsSink {
 public:
  // Goes on after step `last_step`; -1: a new run of MLflow. Error(kSave) when a file cannot be opened.
  MlflowSink(const std::filesystem::path& folder, MlflowSettings settings, std::int64_t last_step);
  // Waits a few seconds at most for what is still to be sent.
  ~MlflowSink() override;

  void write(const std::string& kind, std::int64_t step, const losses::Metrics& metrics) override;
  void sync() override { lines_.sync(); }
  void end() override;

 private:
  using Clock = std::chrono::steady_clock;

  void deliver();
  void wait();
  void wake(std::atomic<bool>& flag);
  void note_failure(const std::string& why);
  void note_success();

  std::filesystem::path folder_;
  StepLines lines_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> has_news_ = true;  // which the thread has not looked at
  std::atomic<bool> ended_ = false;    // no line will follow, the run is done
  std::atomic<bool> closing_ = false;
  std::atomic<Clock::time_point> deadline_ = Clock::time_point::max();
  // Of the thread.
  std::chrono::seconds pause_{0};  // after a failure, before the next attempt
  MlflowQueue queue_;
  std::thread thread_;
};

}  // namespace ddro::run
