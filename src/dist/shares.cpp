#include "ddro/dist/shares.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace ddro::dist {

Shares balanced_shares(std::span<const double> costs, int num_ranks, size_t most_pieces) {
  std::vector<size_t> order(costs.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return costs[a] > costs[b]; });
  std::vector<double> load(static_cast<size_t>(num_ranks));
  std::vector<double> open_load = load;  // of those that have room
  std::vector<size_t> pieces(load.size());
  Shares shares;
  shares.rank_of.resize(costs.size());
  for (const size_t piece : order) {
    const auto rank = static_cast<size_t>(std::ranges::min_element(open_load) - open_load.begin());
    shares.rank_of[piece] = static_cast<int>(rank);
    load[rank] += costs[piece];
    open_load[rank] = ++pieces[rank] < most_pieces ? load[rank] : std::numeric_limits<double>::infinity();
  }
  const double total = std::accumulate(load.begin(), load.end(), 0.0);
  if (total > 0) shares.imbalance = *std::max_element(load.begin(), load.end()) / (total / num_ranks);
  return shares;
}

}  // namespace ddro::dist
