// What is odd about a set as a whole: repeated rows, contradicting labels.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "ddro/data/dataset.h"

namespace ddro::data {

// Sees every kept row once and counts into the report. Rows are known by 128-bit hashes of their tokens.
class RowCensus {
 public:
  void add(const EncodedExample& example, DatasetReport& report);

 private:
  std::unordered_set<std::string> rows_;
  std::unordered_map<std::string, unsigned>
      labels_;  // completion with its prompt -> set of CompletionClass bits
};

}  // namespace ddro::data
