// Scalars for TensorBoard: events.out.tfevents.* in the run's folder, each step once over any number of
// restarts.
#pragma once

#include <filesystem>
#include <string>

#include "ddro/base/files.h"
#include "run/metrics_sink.h"

namespace ddro::run {

// Tags are those of Hugging Face's trainers: train/NAME for a training metric, eval/SET_NAME for
// eval_SET_NAME. Values that are not finite are left out.
class EventFile final : public MetricsSink {
 public:
  // A new file of `folder`, which readers take after those that are there. It begins by withdrawing what they
  // hold of steps after `last_step` (-1: of all steps). Error(kSave) when it cannot be created.
  EventFile(const std::filesystem::path& folder, std::int64_t last_step);

  void write(const std::string& kind, std::int64_t step, const losses::Metrics& metrics) override;
  void sync() override { file_.sync(); }

 private:
  DurableFile file_;
};

}  // namespace ddro::run
