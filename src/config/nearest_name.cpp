#include "config/nearest_name.h"

#include <algorithm>

namespace ddro::config {
namespace {

// Optimal string alignment distance.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string>& known) {
  constexpr size_t kLongestName = 64;  // the table is quadratic, and no name of ours is longer
  if (name.size() > kLongestName) return {};
  std::string nearest;
  size_t best = std::max<size_t>(1, name.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const size_t distance = edit_distance(name, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string only_name_with(std::string_view name, const std::vector<std::string>& known) {
  const std::string word = "_" + std::string(name) + "_";
  const auto has_word = [&](const std::string& candidate) {
    return ("_" + candidate + "_").find(word) != std::string::npos;
  };
  const auto found = std::find_if(known.begin(), known.end(), has_word);
  if (found == known.end() || std::any_of(found + 1, known.end(), has_word)) return {};
  return *found;
}

}  // namespace ddro::config
