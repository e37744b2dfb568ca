// Losses and gradient norms far above those of the steps before.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ddro/base/json.h"

namespace ddro::train {

class SpikeGuard {
 public:
  // What is far above: "gradient norm 9e+04, usually 210". By median and median absolute deviation of the
  // last hundred steps, which a few spikes among them do not move. Empty for a usual step, and while fewer
  // than thirty were seen.
  std::string spike(double loss, double gradient_norm) const;

  // Of a step whose numbers are finite.
  void record(double loss, double gradient_norm, bool skipped);
  std::int64_t num_skipped() const { return num_skipped_; }

  Json state() const;
  void load(const Json& state);

 private:
  std::vector<double> losses_;  // the oldest first
  std::vector<double> norms_;
  std::int64_t num_skipped_ = 0;
};

}  // namespace ddro::train
