#include "run/metrics_log.h"

#include <algorithm>

#include "run/event_file.h"

namespace ddro::run {

MetricsLog::MetricsLog(const std::filesystem::path& folder, const train::LoggingOptions& options,
                       std::int64_t last_step)
    : file_(folder / "metrics.jsonl", last_step) {
  const auto& names = options.report_to;
  if (std::find(names.begin(), names.end(), "tensorboard") != names.end()) {
    others_.push_back(std::make_unique<EventFile>(folder, last_step));
  }
}

void MetricsLog::write(const std::string& kind, std::int64_t step, const losses::Metrics& metrics) {
  file_.write(kind, step, metrics);
  for (const auto& sink : others_) sink->write(kind, step, metrics);
}

void MetricsLog::sync() {
  file_.sync();
  for (const auto& sink : others_) sink->sync();
}

}  // namespace ddro::run
