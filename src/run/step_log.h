// What a step leaves in the log and the metric sinks.
#pragma once

#include "ddro/run/loaded_run.h"
#include "ddro/train/stepper.h"
#include "run/metrics_log.h"
#include "run/run_state.h"

namespace ddro::run {

struct StepTimes {
  double seconds = 0;    // of the whole step
  double data_wait = 0;  // until its micro-batches were there
  double tokens_per_second = 0;
};

class StepLog {
 public:
  // Measures the matmul rate that mfu is a share of. The run and the sinks outlive it.
  StepLog(const LoadedRun& run, const models::CausalLm& policy, MetricsLog& metrics);

  // `state`: after the step.
  void write(const data::StepPlan& plan, const train::StepReport& report, const RunState& state,
             const StepTimes& times);

 private:
  const LoadedRun& run_;
  const models::CausalLm& policy_;
  MetricsLog& metrics_;
  double matmul_rate_;
};

// "loss 0.69  chosen +0.1": `shown` pairs of label and metric, each with its printf format; metrics that are
// not defined are left out.
struct ShownMetric {
  const char* label;
  const char* metric;
  const char* format;
};
std::string metrics_line(const losses::Metrics& metrics, std::initializer_list<ShownMetric> shown);

}  // namespace ddro::run
