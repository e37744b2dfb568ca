// All metric sinks of a run.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ddro/dist/communicator.h"
#include "ddro/train/train_options.h"
#include "run/metrics_sink.h"

namespace ddro::run {

class MetricsLog {
 public:
  // Opens the sinks that `options.report_to` names in `folder`, to go on after step `last_step` (-1: from the
  // start). metrics.jsonl is always one of them: it says which evaluations are done.
  // Of several ranks the first writes; all know what is written.
  MetricsLog(const std::filesystem::path& folder, const train::LoggingOptions& options,
             std::int64_t last_step, const dist::Communicator& ranks = dist::alone());

  void write(const std::string& kind, std::int64_t step, const losses::Metrics& metrics);
  void sync();
  // Step of the newest evaluation that is logged, or -1.
  std::int64_t last_evaluation() const { return last_evaluation_; }

 private:
  std::vector<std::unique_ptr<MetricsSink>> sinks_;
  std::int64_t last_evaluation_ = -1;
};

}  // namespace ddro::run
