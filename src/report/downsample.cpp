#include "report/downsample.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <set>

namespace ddro::report {
namespace {

// What a piece [begin, end) is drawn by.
void keep_extremes(std::span<const double> values, size_t begin, size_t end, std::set<size_t>& kept) {
  std::optional<size_t> smallest;
  std::optional<size_t> largest;
  std::optional<size_t> gap;
  for (size_t i = begin; i < end; ++i) {
    if (std::isnan(values[i])) {
      if (!gap) gap = i;
      continue;
    }
    if (!smallest || values[i] < values[*smallest]) smallest = i;
    if (!largest || values[i] > values[*largest]) largest = i;
  }
  for (const auto& index : {smallest, largest, gap}) {
    if (index) kept.insert(*index);
  }
}

}  // namespace

std::vector<size_t> points_to_keep(std::span<const double> values, size_t max_points) {
  if (values.size() <= max_points) {
    std::vector<size_t> all(values.size());
    std::iota(all.begin(), all.end(), size_t{0});
    return all;
  }
  const size_t num_pieces = (max_points - 2) / 3;
  std::set<size_t> kept = {0, values.size() - 1};
  for (size_t piece = 0; piece < num_pieces; ++piece) {
    keep_extremes(values, piece * values.size() / num_pieces, (piece + 1) * values.size() / num_pieces, kept);
  }
  return {kept.begin(), kept.end()};
}

}  // namespace ddro::report
