// A campaign in which each kill is a loss of power.
#pragma once

#include <memory>
#include <random>

#include "fault/campaign.h"
#include "fault/faulty_disk.h"
#include "fault/power_loss.h"

namespace ddro::test {

class LostPower {
 public:
  explicit LostPower(unsigned seed) : random_(std::make_shared<std::mt19937>(seed)) {}

  Surroundings surroundings() const {
    const auto durable = [](const TinyRun& run) { return run.output_dir().string() + ".durable"; };
    return {.environment =
                [durable](const TinyRun& run) {
                  keep_all(run.output_dir(), durable(run));
                  return faulty_disk(run.output_dir(), {"DDRO_DISK_DURABLE=" + durable(run)});
                },
            .after_end =
                [durable, random = random_](const TinyRun& run) {
                  PowerLoss(run.output_dir(), durable(run)).apply([&] {
                    return (*random)() % 2 == 0 ? Unsynced::kLost : Unsynced::kNamesKept;
                  });
                }};
  }

 private:
  std::shared_ptr<std::mt19937> random_;
};

}  // namespace ddro::test
