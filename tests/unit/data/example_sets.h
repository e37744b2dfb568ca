// Sets of encoded examples, made without files.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "ddro/base/random.h"
#include "ddro/data/dataset.h"

namespace ddro::data {

// Ids are distinct within the set, so that a token shows where it belongs.
class SetBuilder {
 public:
  SetBuilder& pair(std::int64_t prompt, std::int64_t chosen, std::int64_t rejected, double weight = 1.0,
                   bool same_prompt = true) {
    const std::vector<text::TokenId> first = ids(prompt + chosen);
    std::vector<text::TokenId> second = ids(prompt + rejected);
    if (same_prompt) std::copy_n(first.begin(), prompt, second.begin());
    const EncodedExample example{
        next_row(),
        weight,
        {{first, prompt, CompletionClass::kChosen}, {second, prompt, CompletionClass::kRejected}}};
    set_.kind = RowKind::kPaired;
    set_.examples.push_back(example);
    return *this;
  }
  SetBuilder& single(std::int64_t prompt, std::int64_t completion, CompletionClass completion_class,
                     double weight = 1.0) {
    set_.kind = RowKind::kUnpaired;
    set_.examples.push_back({next_row(), weight, {{ids(prompt + completion), prompt, completion_class}}});
    return *this;
  }
  Dataset build() const { return set_; }

 private:
  std::int64_t next_row() const { return static_cast<std::int64_t>(set_.examples.size()); }
  std::vector<text::TokenId> ids(std::int64_t count) {
    std::vector<text::TokenId> result;
    for (std::int64_t i = 0; i < count; ++i) result.push_back(next_id_++);
    return result;
  }

  Dataset set_;
  text::TokenId next_id_ = 1;
};

// `chosen` preferred and `rejected` unpreferred rows, one after the other as they come.
inline Dataset unpaired_set(std::int64_t chosen, std::int64_t rejected) {
  SetBuilder builder;
  for (std::int64_t i = 0; i < chosen; ++i) builder.single(1, 1, CompletionClass::kChosen);
  for (std::int64_t i = 0; i < rejected; ++i) builder.single(1, 1, CompletionClass::kRejected);
  return builder.build();
}

inline std::int64_t random_between(std::int64_t low, std::int64_t high, std::uint64_t seed,
                                   std::uint64_t index) {
  return low +
         static_cast<std::int64_t>(random_bits(seed, 0, index) % static_cast<std::uint64_t>(high - low + 1));
}

}  // namespace ddro::data
