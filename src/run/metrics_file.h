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
  // The newest evaluation in the file, or an empty object; its step, or -1.
  const Json& last_evaluation_line() const { return last_evaluation_; }
  std::int64_t last_evaluation() const { return last_evaluation_.value("step", std::int64_t{-1}); }
  void sync() override { lines_.sync(); }

 private:
  Json last_evaluation_ = Json::object();  // before lines_, whose constructor finds it
  StepLines lines_;
};

// Metrics as a JSON object, not-finite values as null.
Json metrics_json(const losses::Metrics& metrics);

// As a line of the file has them.
Json logged_line(const std::string& kind, std::int64_t step, const losses::Metrics& metrics);

}  // namespace ddro::run
