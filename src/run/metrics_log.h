// All metric sinks of a run.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ddro/base/json.h"
#include "ddro/dist/communicator.h"
#include "ddro/train/train_options.h"
#include "run/metrics_sink.h"

namespace ddro::run {

// Error(kInput) or Error(kModel) where a sink that is named cannot be had.
void check_sinks(const train::LoggingOptions& options);

// What a sink keeps of a run that was done after `last_step` steps, and could not bring to its place.
void deliver_late(const std::filesystem::path& folder, const train::LoggingOptions& options,
                  std::int64_t last_step);

class MetricsLog {
 public:
  // Opens the sinks that `options.report_to` names in `folder`, to go on after step `last_step` (-1: from the
  // start). metrics.jsonl is always one of them: it says which evaluations are done.
  // Of several ranks the first writes; all know what is written.
  MetricsLog(const std::filesystem::path& folder, const train::LoggingOptions& options,
             std::int64_t last_step, const dist::Communicator& ranks = dist::alone());

  void write(const std::string& kind, std::int64_t step, const losses::Metrics& metrics);
  void sync();
  void end();  // of the run
  // The newest evaluation that is logged, as a line of metrics.jsonl, or an empty object; its step, or -1.
  const Json& last_evaluation_line() const { return last_evaluation_; }
  std::int64_t last_evaluation() const { return last_evaluation_.value("step", std::int64_t{-1}); }

 private:
  std::vector<std::unique_ptr<MetricsSink>> sinks_;
  Json last_evaluation_ = Json::object();
};

}  // namespace ddro::run
