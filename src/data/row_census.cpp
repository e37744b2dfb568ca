#include "data/row_census.h"

#include <span>
#include <vector>

#include "ddro/base/hash.h"

namespace ddro::data {
namespace {

Hash128 sequence_key(const EncodedSequence& sequence) {
  Hasher hasher;
  hasher.update(std::as_bytes(std::span(sequence.ids)));
  hasher.update(std::as_bytes(std::span(&sequence.completion_start, 1)));
  return hasher.digest();
}

std::uint8_t class_bit(CompletionClass completion_class) {
  return static_cast<std::uint8_t>(1u << static_cast<unsigned>(completion_class));
}

}  // namespace

void RowCensus::add(const EncodedExample& example, DatasetReport& report) {
  constexpr unsigned kBothLabels = 0b11;
  std::vector<Hash128> keys;
  Hasher row;
  for (const EncodedSequence& sequence : example.sequences) {
    keys.push_back(sequence_key(sequence));
    row.update(std::as_bytes(std::span(&keys.back(), 1)));
    row.update(std::as_bytes(std::span(&sequence.completion_class, 1)));
  }
  if (!rows_.insert(row.digest()).second) ++report.num_duplicates;
  if (example.is_pair() && keys[0] == keys[1]) {
    ++report.num_chosen_equals_rejected;
    return;
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    std::uint8_t& labels = labels_[keys[i]];
    const unsigned before = labels;
    labels |= class_bit(example.sequences[i].completion_class);
    if (before != labels && labels == kBothLabels) ++report.num_both_labels;
  }
}

}  // namespace ddro::data
