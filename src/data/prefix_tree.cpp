#include "data/prefix_tree.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace ddro::data {

PrefixTree::PrefixTree(std::vector<const TokenIds*> sequences, std::int64_t min_shared_tokens)
    : sequences_(std::move(sequences)),
      min_shared_tokens_(std::max<std::int64_t>(1, min_shared_tokens)),
      order_(sequences_.size()),
      last_segments_(sequences_.size(), -1) {
  std::iota(order_.begin(), order_.end(), 0);
  std::stable_sort(order_.begin(), order_.end(),
                   [this](size_t a, size_t b) { return *sequences_[a] < *sequences_[b]; });
  if (!order_.empty()) split(0, order_.size(), 0, -1);
}

std::vector<std::int64_t> PrefixTree::packed_indices(size_t sequence) const {
  std::vector<std::int64_t> indices(sequences_[sequence]->size());
  for (std::int64_t i = last_segments_[sequence]; i >= 0; i = segments[static_cast<size_t>(i)].parent) {
    const Segment& segment = segments[static_cast<size_t>(i)];
    const auto first = indices.begin() + static_cast<std::ptrdiff_t>(segment.prefix_length);
    std::iota(first, first + static_cast<std::ptrdiff_t>(segment.length), segment.begin);
  }
  return indices;
}

std::int64_t PrefixTree::common_length(size_t first, size_t last) const {
  const auto& a = ids_of(first);
  const auto& b = ids_of(last);
  return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
}

// Lays out the sequences at [begin, end) of the order, whose first `depth` tokens stand in `parent` and
// above.
void PrefixTree::split(size_t begin, size_t end, std::int64_t depth, std::int64_t parent) {
  // All that the first and the last of sorted sequences have in common, the ones between have as well.
  const std::int64_t common = common_length(begin, end - 1);
  if (end - begin == 1 || common - depth >= min_shared_tokens_) {
    if (common > depth) parent = append(begin, depth, common, parent);
    depth = common;
  }
  // Those that end here come first; then runs with one next token each.
  while (begin < end && static_cast<std::int64_t>(ids_of(begin).size()) == common) {
    last_segments_[order_[begin]] = common > depth ? append(begin, depth, common, parent) : parent;
    ++begin;
  }
  while (begin < end) {
    const auto next = [&](size_t place) { return ids_of(place)[static_cast<size_t>(common)]; };
    size_t run_end = begin + 1;
    while (run_end < end && next(run_end) == next(begin)) ++run_end;
    split(begin, run_end, depth, parent);
    begin = run_end;
  }
}

// Tokens [from, to) of a sequence as a segment; its index.
std::int64_t PrefixTree::append(size_t place, std::int64_t from, std::int64_t to, std::int64_t parent) {
  const auto& ids = ids_of(place);
  segments.push_back({static_cast<std::int64_t>(ids_T.size()), to - from, parent, from});
  ids_T.insert(ids_T.end(), ids.begin() + from, ids.begin() + to);
  positions_T.resize(ids_T.size());
  std::iota(positions_T.end() - (to - from), positions_T.end(), from);
  return static_cast<std::int64_t>(segments.size()) - 1;
}

}  // namespace ddro::data
