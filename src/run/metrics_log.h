// All metric sinks of a run.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ddro/train/train_options.h"
#include "run/metrics_file.h"
#include "run/metrics_sink.h"

namespace ddro::run {

class MetricsLog {
 public:
  // Opens the sinks that `options.report_to` names in `folder`, to go on after step `last_step` (-1: from the
  // start). metrics.jsonl is always one of them: it says which evaluations are done.
  MetricsLog(const std::filesystem::path& folder, const train::LoggingOptions& options,
             std::int64_t last_step);

  void write(const std::string& kind, std::int64_t step, const losses::Metrics& metrics);
  void sync();
  // Step of the newest evaluation that is logged, or -1.
  std::int64_t last_evaluation() const { return file_.last_evaluation(); }

 private:
  MetricsFile file_;
  std::vector<std::unique_ptr<MetricsSink>> others_;
};

}  // namespace ddro::run
