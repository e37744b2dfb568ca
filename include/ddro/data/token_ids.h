// The token ids of one sequence, which do not change.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "ddro/text/tokenizer.h"

namespace ddro::data {

// Its own, or some of a file that is mapped. Copies share them.
class TokenIds {
 public:
  using value_type = text::TokenId;
  using const_iterator = const text::TokenId*;
  using iterator = const_iterator;

  TokenIds() = default;
  TokenIds(std::span<const text::TokenId> ids)
      : size_(ids.size()) {  // copies, as a vector does: not explicit
    const auto own = std::make_shared_for_overwrite<text::TokenId[]>(ids.size());
    std::copy(ids.begin(), ids.end(), own.get());
    first_ = {own, own.get()};
  }
  TokenIds(const std::vector<text::TokenId>& ids) : TokenIds(std::span(ids)) {}
  TokenIds(std::initializer_list<text::TokenId> ids) : TokenIds(std::span(ids.begin(), ids.size())) {}
  // `keeper` has them.
  TokenIds(const std::shared_ptr<const void>& keeper, std::span<const text::TokenId> ids)
      : first_(keeper, ids.data()), size_(ids.size()) {}
  // Nothing but their number, until they are where they can be read.
  static TokenIds elsewhere(size_t size) {
    TokenIds ids;
    ids.size_ = size;
    return ids;
  }

  const_iterator begin() const { return first_.get(); }
  const_iterator end() const { return begin() + size_; }
  const text::TokenId* data() const { return first_.get(); }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  text::TokenId operator[](size_t i) const { return first_.get()[i]; }
  text::TokenId back() const { return first_.get()[size_ - 1]; }

  friend bool operator==(const TokenIds& a, const TokenIds& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }
  friend bool operator<(const TokenIds& a, const TokenIds& b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  std::shared_ptr<const text::TokenId> first_;
  size_t size_ = 0;
};

}  // namespace ddro::data
