// A weighted sum of objectives.
#pragma once

#include <memory>
#include <vector>

#include "ddro/losses/objective.h"

namespace ddro::losses {

struct WeightedObjective {
  double weight = 1;
  std::unique_ptr<Objective> objective;
};

// The part itself when there is one of weight 1. Otherwise the widest locality of the parts; of what is not a
// sum (reward, cap, alpha), that of the first part that has it.
std::unique_ptr<Objective> make_sum(std::vector<WeightedObjective> parts);

}  // namespace ddro::losses
