#include "data/row_census.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <tuple>

#include "ddro/base/interruption.h"

namespace ddro::data {
namespace {

Hash128 sequence_key(const EncodedSequence& sequence) {
  Hasher hasher;
  hasher.update(std::as_bytes(std::span(sequence.ids)));
  hasher.update(std::as_bytes(std::span(&sequence.completion_start, 1)));
  return hasher.digest();
}

bool is_before(const Hash128& a, const Hash128& b) {
  return std::tie(a.high, a.low) < std::tie(b.high, b.low);
}

// Sorted, each once; how many were there again.
std::int64_t sort_out(std::vector<Hash128>& hashes) {
  leave_if_interrupted();
  std::sort(hashes.begin(), hashes.end(), is_before);
  const auto again = std::unique(hashes.begin(), hashes.end());
  const std::int64_t count = hashes.end() - again;
  hashes.erase(again, hashes.end());
  return count;
}

// Of two sorted lists.
std::int64_t num_in_both(const std::vector<Hash128>& a, const std::vector<Hash128>& b) {
  std::int64_t count = 0;
  for (auto i = a.begin(), k = b.begin(); i != a.end() && k != b.end();) {
    if (*i == *k) ++count;
    is_before(*k, *i) ? ++k : ++i;
  }
  return count;
}

}  // namespace

void RowCensus::add(const EncodedExample& example) {
  std::vector<Hash128> keys;
  Hasher row;
  for (const EncodedSequence& sequence : example.sequences) {
    keys.push_back(sequence_key(sequence));
    row.update(std::as_bytes(std::span(&keys.back(), 1)));
    row.update(std::as_bytes(std::span(&sequence.completion_class, 1)));
  }
  rows_.push_back(row.digest());
  if (example.is_pair() && keys[0] == keys[1]) {
    ++chosen_equals_rejected_;
    return;
  }
  for (size_t i = 0; i < keys.size(); ++i)
    completions_[static_cast<size_t>(example.sequences[i].completion_class)].push_back(keys[i]);
}

void RowCensus::count(DatasetReport& report) {
  report.num_duplicates = sort_out(rows_);
  report.num_chosen_equals_rejected = chosen_equals_rejected_;
  for (std::vector<Hash128>& hashes : completions_) sort_out(hashes);
  report.num_both_labels = num_in_both(completions_[0], completions_[1]);
}

}  // namespace ddro::data
