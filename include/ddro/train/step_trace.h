// Whether a step that is computed twice gives the same bits: hardware that computes wrongly seldom does so
// twice alike.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ddro/train/parameters.h"
#include "ddro/train/step.h"

namespace ddro::train {

// What a step has computed: its log-probabilities and loss, and of each gradient the sum of its bits.
class StepTrace {
 public:
  StepTrace(const StepResult& result, const Parameters& parameters);

  // What differs first, such as "the gradient of lm_head.weight"; empty where nothing does.
  std::string difference(const StepTrace& other) const;

 private:
  struct Part {
    std::string name;
    std::uint64_t bits;
  };
  std::vector<Part> parts_;
};

}  // namespace ddro::train
