// Says what a run waits for when a step takes far longer than usual.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

#include "ddro/base/activity.h"
#include "ddro/base/progress.h"
#include "ddro/base/ticker.h"

namespace ddro::run {

// How long the last steps took.
class UsualTime {
 public:
  void add(double seconds);
  // What is late: ten times the median, and at least some seconds; nothing before there are a few steps.
  std::optional<double> limit() const;
  double median() const;  // there is a step

 private:
  std::deque<double> seconds_;
};

// "waits for data"; empty for what takes its time: an evaluation, an export.
std::string what_it_waits_for(Activity activity);

// Looks once a second, from its own thread. What is late is said by the progress line, and once by the log.
class StepWatch {
 public:
  // Of the calling thread; `progress` outlives it.
  explicit StepWatch(Progress& progress);

  // A step begins, or something else between two steps.
  void begin(std::int64_t step);
  // What has begun was a step that took so long.
  void step_done(double seconds);

 private:
  using Clock = std::chrono::steady_clock;

  void look();

  Progress& progress_;
  const std::atomic<Activity>& activity_;
  std::mutex mutex_;
  UsualTime usual_;
  std::int64_t step_ = 0;
  Activity seen_ = Activity::kPreparing;
  Clock::time_point since_ = Clock::now();  // so long has it been seen at each look
  bool told_ = false;
  Ticker ticker_;
};

}  // namespace ddro::run
