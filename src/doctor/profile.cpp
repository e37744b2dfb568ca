#include "doctor/profile.h"

#include <kineto/ActivityType.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <tuple>

namespace ddro::doctor {
namespace {

namespace profiler = torch::autograd::profiler;

std::vector<Interval> record(at::Device device, const std::function<void()>& action) {
  // Below this it reports, among other things, that a machine without a GPU has none.
  setenv("KINETO_LOG_LEVEL", "5", /*overwrite=*/0);
  std::set<profiler::ActivityType> activities = {profiler::ActivityType::CPU};
  if (device.is_cuda()) activities.insert(profiler::ActivityType::CUDA);
  const profiler::ProfilerConfig config(profiler::ProfilerState::KINETO);
  profiler::prepareProfiler(config, activities);
  profiler::enableProfiler(config, activities);
  action();
  const auto result = profiler::disableProfiler();
  std::vector<Interval> intervals;
  constexpr auto kPhaseOnDevice = static_cast<std::uint8_t>(libkineto::ActivityType::GPU_USER_ANNOTATION);
  for (const profiler::KinetoEvent& event : result->events()) {
    if (event.deviceType() != device.type() || event.durationNs() == 0) continue;
    if (event.activityType() == kPhaseOnDevice) continue;  // no kernel, and pauses between kernels are in it
    const auto stream =
        device.is_cuda() ? static_cast<std::uint64_t>(event.deviceResourceId()) : event.startThreadId();
    const bool is_phase = event.scope() == static_cast<std::uint8_t>(at::RecordScope::USER_SCOPE);
    intervals.push_back({event.name(), stream, event.startNs(), event.endNs(), is_phase});
  }
  return intervals;
}

// Those that contain others come before them.
void sort_outer_first(std::vector<Interval>& intervals) {
  std::sort(intervals.begin(), intervals.end(), [](const Interval& a, const Interval& b) {
    return std::tuple(a.stream, a.begin, b.end) < std::tuple(b.stream, b.begin, a.end);
  });
}

double seconds(std::uint64_t nanoseconds) { return 1e-9 * static_cast<double>(nanoseconds); }

}  // namespace

std::vector<KernelTime> own_times(std::vector<Interval> intervals) {
  sort_outer_first(intervals);
  std::map<std::string, KernelTime> by_name;
  std::vector<const Interval*> open;  // each inside the one before it
  for (const Interval& interval : intervals) {
    while (!open.empty() && (open.back()->stream != interval.stream || open.back()->end <= interval.begin))
      open.pop_back();
    const double duration = seconds(interval.end - interval.begin);
    if (!open.empty()) by_name[open.back()->name].seconds -= duration;
    KernelTime& time = by_name[interval.name];
    time.name = interval.name;
    time.seconds += duration;
    ++time.calls;
    open.push_back(&interval);
  }
  std::vector<KernelTime> times;
  for (auto& [name, time] : by_name) times.push_back(std::move(time));
  std::stable_sort(times.begin(), times.end(),
                   [](const KernelTime& a, const KernelTime& b) { return a.seconds > b.seconds; });
  return times;
}

std::vector<KernelTime> phase_times(std::vector<Interval> intervals) {
  std::erase_if(intervals, [](const Interval& interval) { return !interval.is_phase; });
  sort_outer_first(intervals);
  std::vector<KernelTime> phases;
  for (const Interval& interval : intervals) {
    auto phase = std::ranges::find(phases, interval.name, &KernelTime::name);
    if (phase == phases.end()) phase = phases.insert(phase, KernelTime{.name = interval.name});
    ++phase->calls;
    phase->seconds += seconds(interval.end - interval.begin);
  }
  return phases;
}

double covered_seconds(std::vector<Interval> intervals) {
  for (Interval& interval : intervals) interval.stream = 0;
  sort_outer_first(intervals);
  std::uint64_t covered = 0, end = 0;
  for (const Interval& interval : intervals) {
    if (interval.end > end) covered += interval.end - std::max(interval.begin, end);
    end = std::max(end, interval.end);
  }
  return seconds(covered);
}

Profile profile(at::Device device, const std::function<void()>& action) {
  const std::vector<Interval> intervals = record(device, action);
  return {own_times(intervals), phase_times(intervals), covered_seconds(intervals)};
}

}  // namespace ddro::doctor
