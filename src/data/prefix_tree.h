// Token sequences laid out so that what several have in common at their beginning stands once.
#pragma once

#include <cstdint>
#include <vector>

#include "ddro/data/packed_batch.h"
#include "ddro/text/tokenizer.h"

namespace ddro::data {

// Sequences in the order of their ids, a shared beginning in front of what continues it. Beginnings of fewer
// than `min_shared_tokens` beyond what is shared already are repeated for each sequence. Takes n log n
// comparisons.
class PrefixTree {
 public:
  // `sequences` outlive the tree; none is empty.
  PrefixTree(std::vector<const TokenIds*> sequences, std::int64_t min_shared_tokens);

  // Where each token of a sequence stands among the packed tokens.
  std::vector<std::int64_t> packed_indices(size_t sequence) const;

  std::vector<std::int64_t> ids_T;
  std::vector<std::int64_t> positions_T;
  std::vector<Segment> segments;

 private:
  const TokenIds& ids_of(size_t place) const { return *sequences_[order_[place]]; }
  std::int64_t common_length(size_t first, size_t last) const;
  void split(size_t begin, size_t end, std::int64_t depth, std::int64_t parent);
  std::int64_t append(size_t place, std::int64_t from, std::int64_t to, std::int64_t parent);

  std::vector<const TokenIds*> sequences_;
  std::int64_t min_shared_tokens_;
  std::vector<size_t> order_;                // sequences sorted by their ids
  std::vector<std::int64_t> last_segments_;  // of each sequence
};

}  // namespace ddro::data
