// Where metrics go: metrics.jsonl (metrics_file.h), TensorBoard's event files (event_file.h), metrics.prom
// (prometheus_file.h), an MLflow server (mlflow_sink.h).
#pragma once

#include <cstdint>
#include <string>

#include "ddro/losses/metrics.h"

namespace ddro::run {

class MetricsSink {
 public:
  virtual ~MetricsSink() = default;

  // `kind`: train or eval. Error(kSave) on failure.
  virtual void write(const std::string& kind, std::int64_t step, const losses::Metrics& metrics) = 0;
  // What was written so far survives a crash of the machine.
  virtual void sync() = 0;
  // The run is done: nothing follows.
  virtual void end() {}
};

}  // namespace ddro::run
