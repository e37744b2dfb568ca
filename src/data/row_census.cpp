#include "data/row_census.h"

#include <span>
#include <vector>

#include "ddro/base/hash.h"

namespace ddro::data {
namespace {

std::string sequence_key(const EncodedSequence& sequence) {
  Hasher hasher;
  hasher.update(std::as_bytes(std::span(sequence.ids)));
  hasher.update(std::as_bytes(std::span(&sequence.completion_start, 1)));
  return hasher.hex();
}

unsigned class_bit(CompletionClass completion_class) { return 1u << static_cast<unsigned>(completion_class); }

}  // namespace

void RowCensus::add(const EncodedExample& example, DatasetReport& report) {
  constexpr unsigned kBothLabels = 0b11;
  std::vector<std::string> keys;
  std::string row_key;
  for (const EncodedSequence& sequence : example.sequences) {
    keys.push_back(sequence_key(sequence));
    row_key += keys.back() + std::to_string(class_bit(sequence.completion_class));
  }
  if (!rows_.insert(row_key).second) ++report.num_duplicates;
  if (example.is_pair() && keys[0] == keys[1]) {
    ++report.num_chosen_equals_rejected;
    return;
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    unsigned& labels = labels_[keys[i]];
    const unsigned before = labels;
    labels |= class_bit(example.sequences[i].completion_class);
    if (before != labels && labels == kBothLabels) ++report.num_both_labels;
  }
}

}  // namespace ddro::data
