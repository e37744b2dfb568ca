// Which rank does what, the same answer on every rank.
#pragma once

#include <span>
#include <vector>

namespace ddro::dist {

struct Shares {
  std::vector<int> rank_of;  // each piece of work
  double imbalance = 1;      // the largest share's cost over the mean of all
};

// The costliest piece first, each to the rank that has the least to do.
Shares balanced_shares(std::span<const double> costs, int num_ranks);

}  // namespace ddro::dist
