// What happens when a step's loss or gradient norm is not finite: the step is skipped; five in a row, or more
// than ten of the last thousand, end the run.
#pragma once

#include <cstdint>
#include <vector>

#include "ddro/base/json.h"

namespace ddro::train {

class NonFiniteGuard {
 public:
  enum class Verdict {
    kSkip,         // skip the step and go on
    kSkipAndDump,  // as above, and write the batch to a file
    kGiveUp,       // end the run with code 77
  };

  void record_finite() { consecutive_ = 0; }
  Verdict record_non_finite(std::int64_t step);

  std::int64_t total() const { return total_; }

  Json state() const;
  void load(const Json& state);

 private:
  std::int64_t consecutive_ = 0;
  std::int64_t total_ = 0;
  std::vector<std::int64_t> recent_;  // steps among the last thousand that were skipped
};

}  // namespace ddro::train
