// A hash table from pairs of token ids to what they merge into.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "ddro/text/tokenizer.h"

namespace ddro::text {

struct Merge {
  std::uint32_t rank = 0;  // lower ones come first
  TokenId result = -1;
};

class PairTable {
 public:
  explicit PairTable(size_t num_pairs) : slots_(std::bit_ceil(2 * num_pairs + 2)) {}

  // The last merge of a pair stays.
  void set(TokenId left, TokenId right, Merge merge) {
    Slot& slot = slots_[find_slot(key_of(left, right))];
    slot = {key_of(left, right), merge};
  }
  // Null if the pair does not merge.
  const Merge* find(TokenId left, TokenId right) const {
    const Slot& slot = slots_[find_slot(key_of(left, right))];
    return slot.merge.result < 0 ? nullptr : &slot.merge;
  }

 private:
  struct Slot {
    std::uint64_t key = 0;
    Merge merge;  // result -1: the slot is free
  };
  static std::uint64_t key_of(TokenId left, TokenId right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
           static_cast<std::uint32_t>(right);
  }
  size_t find_slot(std::uint64_t key) const {
    const size_t mask = slots_.size() - 1;
    size_t index = static_cast<size_t>((key * 0x9E3779B97F4A7C15u) >> 20) & mask;
    while (slots_[index].merge.result >= 0 && slots_[index].key != key) index = (index + 1) & mask;
    return index;
  }

  std::vector<Slot> slots_;
};

}  // namespace ddro::text
