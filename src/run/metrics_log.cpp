#include "run/metrics_log.h"

#include <algorithm>

#include "run/event_file.h"
#include "run/metrics_file.h"
#include "run/mlflow_sink.h"
#include "run/prometheus_file.h"

namespace ddro::run {
namespace {

constexpr const char* kMlflow = "mlflow";

bool is_named(const train::LoggingOptions& options, const char* sink) {
  const auto& names = options.report_to;
  return std::find(names.begin(), names.end(), sink) != names.end();
}

}  // namespace

void check_sinks(const train::LoggingOptions& options) {
  if (!is_named(options, kMlflow)) return;
  mlflow_settings();
  require_http();
}

void deliver_late(const std::filesystem::path& folder, const train::LoggingOptions& options,
                  std::int64_t last_step) {
  std::error_code ignored;
  if (is_named(options, kMlflow) && std::filesystem::exists(folder / kMlflowLines, ignored))
    MlflowSink(folder, mlflow_settings(), last_step).end();
}

MetricsLog::MetricsLog(const std::filesystem::path& folder, const train::LoggingOptions& options,
                       std::int64_t last_step, const dist::Communicator& ranks) {
  if (ranks.is_first()) {
    auto file = std::make_unique<MetricsFile>(folder / "metrics.jsonl", last_step);
    last_evaluation_ = file->last_evaluation_line();
    sinks_.push_back(std::move(file));
    if (is_named(options, "tensorboard")) sinks_.push_back(std::make_unique<EventFile>(folder, last_step));
    if (is_named(options, "prometheus")) sinks_.push_back(std::make_unique<PrometheusFile>(folder));
    if (is_named(options, kMlflow))
      sinks_.push_back(std::make_unique<MlflowSink>(folder, mlflow_settings(), last_step));
  }
  last_evaluation_ = Json::parse(ranks.broadcast(last_evaluation_.dump()));
}

void MetricsLog::write(const std::string& kind, std::int64_t step, const losses::Metrics& metrics) {
  for (const auto& sink : sinks_) sink->write(kind, step, metrics);
  if (kind == "eval") last_evaluation_ = logged_line(kind, step, metrics);
}

void MetricsLog::end() {
  for (const auto& sink : sinks_) sink->end();
}

void MetricsLog::sync() {
  for (const auto& sink : sinks_) sink->sync();
}

}  // namespace ddro::run
