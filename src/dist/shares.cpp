#include "ddro/dist/shares.h"

#include <algorithm>
#include <numeric>

namespace ddro::dist {

Shares balanced_shares(std::span<const double> costs, int num_ranks) {
  std::vector<size_t> order(costs.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return costs[a] > costs[b]; });
  std::vector<double> load(static_cast<size_t>(num_ranks));
  Shares shares;
  shares.rank_of.resize(costs.size());
  for (const size_t piece : order) {
    const auto least = std::min_element(load.begin(), load.end());
    shares.rank_of[piece] = static_cast<int>(least - load.begin());
    *least += costs[piece];
  }
  const double total = std::accumulate(load.begin(), load.end(), 0.0);
  if (total > 0) shares.imbalance = *std::max_element(load.begin(), load.end()) / (total / num_ranks);
  return shares;
}

}  // namespace ddro::dist
