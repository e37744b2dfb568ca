// What is odd about a set as a whole: repeated rows, contradicting labels.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <unordered_set>

#include "ddro/base/hash.h"
#include "ddro/data/dataset.h"

namespace ddro::data {

// Sees every kept row once and counts into the report. Rows are known by 128-bit hashes of their tokens.
class RowCensus {
 public:
  void add(const EncodedExample& example, DatasetReport& report);

 private:
  struct Bits {
    size_t operator()(const Hash128& hash) const noexcept { return hash.low; }
  };
  std::unordered_set<Hash128, Bits> rows_;
  std::unordered_map<Hash128, std::uint8_t, Bits>
      labels_;  // completion with its prompt -> set of CompletionClass bits
};

}  // namespace ddro::data
