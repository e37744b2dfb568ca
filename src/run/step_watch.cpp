#include "run/step_watch.h"

#include <algorithm>
#include <string>
#include <vector>

#include "ddro/base/log.h"

namespace ddro::run {
namespace {

constexpr size_t kMostSteps = 50;
constexpr size_t kFewestSteps = 3;
constexpr double kLateMedians = 10;
constexpr double kLateSeconds = 5;
constexpr std::chrono::seconds kLookInterval{1};

}  // namespace

void UsualTime::add(double seconds) {
  seconds_.push_back(seconds);
  if (seconds_.size() > kMostSteps) seconds_.pop_front();
}

std::optional<double> UsualTime::limit() const {
  if (seconds_.size() < kFewestSteps) return std::nullopt;
  return std::max(kLateSeconds, kLateMedians * median());
}

double UsualTime::median() const {
  std::vector<double> sorted(seconds_.begin(), seconds_.end());
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

std::string what_it_waits_for(Activity activity) {
  switch (activity) {
    case Activity::kData:
      return "waits for data";
    case Activity::kReference:
      return "waits for the reference";
    case Activity::kRanks:
      return "waits for another rank";
    case Activity::kDisk:
      return "waits for the disk";
    case Activity::kSave:
      return "waits for a save";
    case Activity::kStep:
      return "computes";
    case Activity::kPreparing:
    case Activity::kEvaluation:
    case Activity::kExport:
      break;
  }
  return "";
}

StepWatch::StepWatch(Progress& progress)
    : progress_(progress), activity_(own_activity()), ticker_(kLookInterval, [this] { look(); }) {}

void StepWatch::begin(std::int64_t step) {
  const std::lock_guard lock(mutex_);
  step_ = step;
  since_ = Clock::now();
  told_ = false;
}

void StepWatch::step_done(double seconds) {
  const std::lock_guard lock(mutex_);
  usual_.add(seconds);
}

void StepWatch::look() {
  const std::lock_guard lock(mutex_);
  if (const Activity now = activity_; now != seen_) {
    seen_ = now;
    since_ = Clock::now();
    told_ = false;
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - since_).count();
  const std::optional<double> limit = usual_.limit();
  const std::string what = what_it_waits_for(seen_);
  if (!limit || seconds < *limit || what.empty()) return;
  const std::string since = "for " + format_duration(seconds);
  if (!told_) {
    log_info("step " + std::to_string(step_) + " " + what + ", " + since + " now; a step takes " +
             printable(usual_.median(), "%.3g") + " s");
  }
  told_ = true;
  progress_.remark(what + ", " + since);
}

}  // namespace ddro::run
