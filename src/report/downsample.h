// Fewer points of a long curve, so that a page stays small, without losing what a chart of it shows.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace ddro::report {

// Indices, ascending, of at most `max_points` (at least 5) of the values: all of them if they fit, else the
// first and the last, and of each of equally long pieces the smallest value, the largest, and the first that
// is NaN.
std::vector<size_t> points_to_keep(std::span<const double> values, size_t max_points);

}  // namespace ddro::report
