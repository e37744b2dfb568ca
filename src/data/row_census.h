// What is odd about a set as a whole: repeated rows, contradicting labels.
#pragma once

#include <array>
#include <vector>

#include "ddro/base/hash.h"
#include "ddro/data/dataset.h"

namespace ddro::data {

// Sees every kept row once. Rows are known by 128-bit hashes of their tokens, which are all that is kept of
// them: 48 bytes a pair.
class RowCensus {
 public:
  void add(const EncodedExample& example);
  // Into the report, when all rows were seen.
  void count(DatasetReport& report);

 private:
  std::vector<Hash128> rows_;
  std::array<std::vector<Hash128>, 2>
      completions_;  // with their prompts, by class; of pairs of two unlike ones
  std::int64_t chosen_equals_rejected_ = 0;
};

}  // namespace ddro::data
