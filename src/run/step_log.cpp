#include "run/step_log.h"

#include <algorithm>
#include <cmath>

#include "ddro/base/log.h"
#include "ddro/train/throughput.h"

namespace ddro::run {

std::string metrics_line(const losses::Metrics& metrics, std::initializer_list<ShownMetric> shown) {
  std::string line;
  for (const ShownMetric& item : shown) {
    const auto found = std::find_if(metrics.begin(), metrics.end(),
                                    [&](const auto& metric) { return metric.first == item.metric; });
    if (found == metrics.end()) continue;
    line += std::string("  ") + item.label + " " + printable(found->second, item.format);
  }
  return line;
}

StepLog::StepLog(const LoadedRun& run, const models::CausalLm& policy, MetricsLog& metrics)
    : run_(run),
      policy_(policy),
      metrics_(metrics),
      matmul_rate_(train::measure_matmul_rate(run.device, policy.head_weight().scalar_type())) {}

void StepLog::write(const data::StepPlan& plan, const train::StepReport& report, const RunState& state,
                    const StepTimes& times) {
  losses::Metrics metrics = losses::preference_metrics(report.result.completions, *run_.objective,
                                                       report.counts, report.result.loss);
  const bool live_reference = run_.train.reference != nullptr && run_.train.reference->is_live();
  const double flops =
      train::step_flops(policy_.spec(), run_.adapter ? &run_.adapter->spec : nullptr, plan, live_reference);
  const auto epoch =
      static_cast<double>(state.sampler.epoch) +
      static_cast<double>(state.sampler.step_in_epoch) / static_cast<double>(run_.steps_per_epoch);
  metrics.insert(metrics.end(),
                 {
                     {"grad_norm", report.gradient_norm},
                     {"learning_rate", report.learning_rate},
                     {"epoch", epoch},
                     {"num_tokens", static_cast<double>(state.num_tokens)},
                     {"skipped_steps", static_cast<double>(state.guard.total() + state.spikes.num_skipped())},
                     {"step_time_s", times.seconds},
                     {"data_wait_s", times.data_wait},
                     {"tokens_per_second", times.tokens_per_second},
                     {"mfu", flops / times.seconds / matmul_rate_ / run_.num_ranks},
                     {"peak_memory_bytes", static_cast<double>(train::peak_memory_bytes(run_.device))},
                 });
  if (report.result.aux_loss) metrics.emplace_back("aux_loss", *report.result.aux_loss);
  if (run_.num_ranks > 1) metrics.emplace_back("rank_imbalance", report.result.imbalance);
  metrics_.write("train", state.step, metrics);
  log_info("step " + std::to_string(state.step) + "/" + std::to_string(run_.total_steps) +
           metrics_line(metrics, {{"loss", "loss", "%.4g"},
                                  {"chosen", "log_ratio/chosen", "%+.3f"},
                                  {"rejected", "log_ratio/rejected", "%+.3f"},
                                  {"grad_norm", "grad_norm", "%.4g"},
                                  {"lr", "learning_rate", "%.4g"}}) +
           "  " + printable(times.seconds, "%.2f") + " s");
}

}  // namespace ddro::run
