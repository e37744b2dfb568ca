// metrics.prom: the newest metrics in Prometheus' text format, for the text file collector of a node
// exporter.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "run/metrics_sink.h"

namespace ddro::run {

// Names are ddro_train_NAME and, with a label for the set, ddro_eval_NAME, with units as Prometheus spells
// them; each sample has the label run. Of each kind the last log of this start.
class PrometheusFile final : public MetricsSink {
 public:
  explicit PrometheusFile(const std::filesystem::path& folder);

  void write(const std::string& kind, std::int64_t step, const losses::Metrics& metrics) override;
  void sync() override {}  // what is a moment old is of no use after a crash

 private:
  std::filesystem::path path_;
  std::string run_;
  std::map<std::string, std::string> text_;  // by kind
};

}  // namespace ddro::run
