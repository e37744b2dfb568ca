// metrics.jsonl: one line a log, each step exactly once over any number of restarts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "ddro/base/json.h"
#include "ddro/losses/metrics.h"
#include "run/metrics_sink.h"
#include "run/step_lines.h"

namespace ddro::run {

class MetricsFile final : public MetricsSink {
 public:
  // Opens for appending, after cutting off what an interrupted run wrote after step `last_step` (torn last
  // lines included). last_step = -1 empties the file.
  MetricsFile(const std::filesystem::path& path, std::int64_t last_step);

  // Appends {"kind": ..., "step": ..., metrics...}; values that are not finite become null. Error(kSave) on
  // failure.
  void write(const std::string& kind, std::int64_t step, const losses::Metrics& metrics) override;
  // Step of the newest evaluation in the file, or -1.
  std::int64_t last_evaluation() const { return last_evaluation_; }
  void sync() override { lines_.sync(); }

 private:
  std::int64_t last_evaluation_ = -1;  // before lines_, whose constructor finds it
  StepLines lines_;
};

// Metrics as a JSON object, not-finite values as null.
Json metrics_json(const losses::Metrics& metrics);

}  // namespace ddro::run
