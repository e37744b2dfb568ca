// Which rank does what, the same answer on every rank.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

namespace ddro::dist {

struct Shares {
  std::vector<int> rank_of;  // each piece of work
  double imbalance = 1;      // the largest share's cost over the mean of all
};

// The costliest piece first, each to the rank that has the least to do, of those that have less than
// `most_pieces`.
Shares balanced_shares(std::span<const double> costs, int num_ranks,
                       size_t most_pieces = std::numeric_limits<size_t>::max());

}  // namespace ddro::dist
