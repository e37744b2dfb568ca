// Attention over packed segments in float32: blocks of queries, for which all scores are computed at once,
// and computed again in the backward. Keys and values stay where they are; the queries of the heads that
// share them are rows of one product.
//
// Legend: T packed tokens, H query heads, G key/value heads, R = H / G, K head width, B rows of a block (R
// for each query), S keys that the block sees.
#include "ops/cpu/block_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "ddro/ops/parallel_for.h"
#include "ops/cpu/float_rows.h"
#include "ops/cpu/products.h"

namespace ddro::ops::cpu {
namespace {

// Scores of a block: two such matrices stay in a core's second cache.
constexpr std::int64_t kBlockScores = 1 << 17;
constexpr std::int64_t kMinBlockRows = 48;
constexpr std::int64_t kMaxBlockRows = 256;

struct TokenRange {
  std::int64_t begin = 0;
  std::int64_t size = 0;
};

// Consecutive queries of a segment, and the keys that any of them sees: positions in their sequence.
struct Block {
  std::int64_t group = 0;
  std::int64_t first_token = 0;
  std::int64_t num_queries = 0;
  std::int64_t first_position = 0;  // of the first query
  std::int64_t first_key = 0;
  std::vector<TokenRange> keys;  // packed tokens, from first_key on
  std::int64_t num_keys = 0;
};

struct Shape {
  std::int64_t heads, groups, width;

  explicit Shape(const Tensor& q_THK, const Tensor& k_TGK)
      : heads(q_THK.size(1)), groups(k_TGK.size(1)), width(q_THK.size(2)) {}
  std::int64_t repeats() const { return heads / groups; }
  std::int64_t rows(const Block& block) const { return block.num_queries * repeats(); }
  // Where the rows of the block's query begin: those of one query lie side by side.
  std::int64_t query(const Block& block, std::int64_t i) const {
    return ((block.first_token + i) * heads + block.group * repeats()) * width;
  }
  std::int64_t key(const Block& block, std::int64_t token) const {
    return (token * groups + block.group) * width;
  }
  std::int64_t key_stride() const { return groups * width; }
};

// The packed tokens of positions [begin, end) of the sequence that ends with `segment`.
std::vector<TokenRange> tokens_at(const AttentionLayout& layout, std::int64_t segment, std::int64_t begin,
                                  std::int64_t end) {
  std::vector<TokenRange> ranges;
  for (; segment >= 0 && begin < end; segment = layout.segments()[static_cast<size_t>(segment)].parent) {
    const AttentionSegment& its = layout.segments()[static_cast<size_t>(segment)];
    const std::int64_t position = layout.prefix_length(static_cast<size_t>(segment));
    const std::int64_t from = std::max(begin, position);
    if (from >= end) continue;
    ranges.push_back({its.begin + from - position, end - from});
    end = from;
  }
  std::reverse(ranges.begin(), ranges.end());
  return ranges;
}

// The first position that a query sees.
std::int64_t first_seen(std::int64_t position, std::int64_t window) {
  return position + 1 - std::min(window, position + 1);
}

// Of one group.
void add_blocks(const AttentionLayout& layout, size_t index, std::int64_t repeats, std::int64_t window,
                std::vector<Block>& blocks) {
  const AttentionSegment& segment = layout.segments()[index];
  const std::int64_t prefix = layout.prefix_length(index);
  const std::int64_t rows =
      std::clamp(kBlockScores / (prefix + segment.length), kMinBlockRows, kMaxBlockRows);
  const std::int64_t step = std::max<std::int64_t>(1, rows / repeats);
  for (std::int64_t query = 0; query < segment.length; query += step) {
    Block block;
    block.first_token = segment.begin + query;
    block.num_queries = std::min(step, segment.length - query);
    block.first_position = prefix + query;
    block.first_key = first_seen(block.first_position, window);
    const std::int64_t end = block.first_position + block.num_queries;
    block.keys = tokens_at(layout, static_cast<std::int64_t>(index), block.first_key, end);
    block.num_keys = end - block.first_key;
    blocks.push_back(std::move(block));
  }
}

// Group after group, so that a thread has few of them.
std::vector<Block> blocks_of(const AttentionLayout& layout, const Shape& shape, std::int64_t window) {
  std::vector<Block> blocks;
  for (std::int64_t group = 0; group < shape.groups; ++group) {
    const size_t first = blocks.size();
    for (size_t i = 0; i < layout.segments().size(); ++i)
      add_blocks(layout, i, shape.repeats(), window, blocks);
    for (size_t i = first; i < blocks.size(); ++i) blocks[i].group = group;
  }
  return blocks;
}

// Cuts the blocks into as many runs of about equal work as there are threads; where they begin, and the end.
std::vector<size_t> shares_of(const std::vector<Block>& blocks) {
  const auto work = [](const Block& block) {
    return static_cast<double>(block.num_queries * block.num_keys);
  };
  double total = 0;
  for (const Block& block : blocks) total += work(block);
  const auto threads = static_cast<double>(at::get_num_threads());
  std::vector<size_t> begins{0};
  double done = 0;
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (done >= total * static_cast<double>(begins.size()) / threads) begins.push_back(i);
    done += work(blocks[i]);
  }
  begins.push_back(blocks.size());
  return begins;
}

// visit(share, blocks) on a thread each.
template <typename Visit>
void for_each_share(const std::vector<Block>& blocks, const std::vector<size_t>& begins, const Visit& visit) {
  const auto count = static_cast<std::int64_t>(begins.size()) - 1;
  parallel_for(0, count, 1, [&](std::int64_t first, std::int64_t last) {
    for (auto share = static_cast<size_t>(first); share < static_cast<size_t>(last); ++share)
      visit(share, std::span(blocks).subspan(begins[share], begins[share + 1] - begins[share]));
  });
}

// Aligned as tensors are: some of MKL's kernels sum up in another order where memory is aligned otherwise.
class Buffer {
 public:
  // Of at least so many numbers, in any state.
  float* get(std::int64_t size) {
    if (size > size_) {
      numbers_.reset();
      numbers_.reset(new (kAlignment) float[static_cast<size_t>(size_ = size)]);
    }
    return numbers_.get();
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Delete {
    void operator()(float* numbers) const { operator delete[](numbers, kAlignment); }
  };

  std::unique_ptr<float[], Delete> numbers_;
  std::int64_t size_ = 0;
};

// rows_BK = factor x, of the block's queries.
void take_rows(const float* x_THK, const Shape& shape, const Block& block, float factor, float* rows_BK) {
  const std::int64_t size = shape.repeats() * shape.width;
  for (std::int64_t i = 0; i < block.num_queries; ++i)
    scaled_row(x_THK + shape.query(block, i), factor, size, rows_BK + i * size);
}

void put_rows(const float* rows_BK, const Shape& shape, const Block& block, float factor, float* x_THK) {
  const std::int64_t size = shape.repeats() * shape.width;
  for (std::int64_t i = 0; i < block.num_queries; ++i)
    scaled_row(rows_BK + i * size, factor, size, x_THK + shape.query(block, i));
}

// scores_BS = rows keys^T.
void score(const float* rows_BK, const float* k_TGK, const Shape& shape, const Block& block,
           float* scores_BS) {
  std::int64_t column = 0;
  for (const TokenRange& range : block.keys) {
    multiply_transposed(rows_BK, shape.width, k_TGK + shape.key(block, range.begin), shape.key_stride(),
                        scores_BS + column, block.num_keys, {shape.rows(block), range.size, shape.width});
    column += range.size;
  }
}

// sums_BK = weights values.
void combine(const float* weights_BS, const float* v_TGK, const Shape& shape, const Block& block,
             float* sums_BK) {
  std::int64_t column = 0;
  for (const TokenRange& range : block.keys) {
    multiply(weights_BS + column, block.num_keys, v_TGK + shape.key(block, range.begin), shape.key_stride(),
             sums_BK, shape.width, {shape.rows(block), shape.width, range.size}, /*add=*/column > 0);
    column += range.size;
  }
}

// d_values_TK += weights^T rows.
void spread(const float* weights_BS, const float* rows_BK, const Shape& shape, const Block& block,
            float* d_values_TK) {
  std::int64_t column = 0;
  for (const TokenRange& range : block.keys) {
    add_transposed_product(weights_BS + column, block.num_keys, rows_BK, shape.width,
                           d_values_TK + range.begin * shape.width, shape.width,
                           {range.size, shape.width, shape.rows(block)});
    column += range.size;
  }
}

// Of a row the columns whose keys its query sees.
TokenRange visible(const Block& block, std::int64_t query, std::int64_t window) {
  const std::int64_t position = block.first_position + query, first = first_seen(position, window);
  return {first - block.first_key, position + 1 - first};
}

void clear_others(float* row_S, std::int64_t size, TokenRange seen) {
  std::fill(row_S, row_S + seen.begin, 0.0f);
  std::fill(row_S + seen.begin + seen.size, row_S + size, 0.0f);
}

}  // namespace

BlockAttention block_attention(const Tensor& q_THK, const Tensor& k_TGK, const Tensor& v_TGK,
                               const AttentionLayout& layout, double scale, std::int64_t window) {
  const Shape shape(q_THK, k_TGK);
  const std::int64_t repeats = shape.repeats();
  BlockAttention result{at::empty_like(q_THK), at::empty({q_THK.size(0), shape.heads}, q_THK.options())};
  const auto *queries = q_THK.const_data_ptr<float>(), *keys = k_TGK.const_data_ptr<float>(),
             *values = v_TGK.const_data_ptr<float>();
  auto *outs = result.out_THK.mutable_data_ptr<float>(), *lses = result.lse_TH.mutable_data_ptr<float>();
  const std::vector<Block> blocks = blocks_of(layout, shape, window);
  for_each_share(blocks, shares_of(blocks), [&](size_t, std::span<const Block> share) {
    Buffer queries_BK, scores_BS, out_BK;
    for (const Block& block : share) {
      const std::int64_t rows = shape.rows(block);
      float* q = queries_BK.get(rows * shape.width);
      float* scores = scores_BS.get(rows * block.num_keys);
      float* out = out_BK.get(rows * shape.width);
      take_rows(queries, shape, block, static_cast<float>(scale), q);
      score(q, keys, shape, block, scores);
      for (std::int64_t row = 0; row < rows; ++row) {
        float* row_S = scores + row * block.num_keys;
        const TokenRange seen = visible(block, row / repeats, window);
        const float largest = largest_of_row(row_S + seen.begin, seen.size);
        const float sum = exp_row(row_S + seen.begin, largest, seen.size, row_S + seen.begin);
        scale_row(row_S + seen.begin, 1 / sum, seen.size);
        clear_others(row_S, block.num_keys, seen);
        lses[shape.query(block, row / repeats) / shape.width + row % repeats] = largest + std::log(sum);
      }
      combine(scores, values, shape, block, out);
      put_rows(out, shape, block, 1, outs);
    }
  });
  return result;
}

BlockAttentionGradients block_attention_backward(const Tensor& d_out_THK, const Tensor& q_THK,
                                                 const Tensor& k_TGK, const Tensor& v_TGK,
                                                 const Tensor& lse_TH, const AttentionLayout& layout,
                                                 double scale, std::int64_t window) {
  const Shape shape(q_THK, k_TGK);
  const std::int64_t repeats = shape.repeats(), tokens = q_THK.size(0);
  BlockAttentionGradients result{at::empty_like(q_THK), at::empty_like(k_TGK), at::empty_like(v_TGK)};
  const auto *queries = q_THK.const_data_ptr<float>(), *keys = k_TGK.const_data_ptr<float>(),
             *values = v_TGK.const_data_ptr<float>(), *d_outs = d_out_THK.const_data_ptr<float>(),
             *lses = lse_TH.const_data_ptr<float>();
  auto* d_queries = result.d_q_THK.mutable_data_ptr<float>();
  const std::vector<Block> blocks = blocks_of(layout, shape, window);
  const std::vector<size_t> begins = shares_of(blocks);
  // Each share adds up keys and values of its own, a matrix for each of its groups.
  std::vector<std::vector<std::pair<std::int64_t, Tensor>>> sums_2TK(begins.size() - 1);
  for_each_share(blocks, begins, [&](size_t number, std::span<const Block> share) {
    Buffer queries_BK, d_out_BK, weights_BS, d_weights_BS, d_queries_BK;
    for (const Block& block : share) {
      auto& sums = sums_2TK[number];
      if (sums.empty() || sums.back().first != block.group)
        sums.emplace_back(block.group, at::zeros({2, tokens, shape.width}, q_THK.options()));
      auto* d_keys_TK = sums.back().second.mutable_data_ptr<float>();
      auto* d_values_TK = d_keys_TK + tokens * shape.width;
      const std::int64_t rows = shape.rows(block);
      float* q = queries_BK.get(rows * shape.width);
      float* d_out = d_out_BK.get(rows * shape.width);
      float* weights = weights_BS.get(rows * block.num_keys);
      float* d_weights = d_weights_BS.get(rows * block.num_keys);
      float* d_q = d_queries_BK.get(rows * shape.width);
      take_rows(queries, shape, block, static_cast<float>(scale), q);
      take_rows(d_outs, shape, block, 1, d_out);
      score(q, keys, shape, block, weights);
      score(d_out, values, shape, block, d_weights);
      for (std::int64_t row = 0; row < rows; ++row) {
        float* row_S = weights + row * block.num_keys;
        float* d_row_S = d_weights + row * block.num_keys;
        const TokenRange seen = visible(block, row / repeats, window);
        const std::int64_t place = shape.query(block, row / repeats) / shape.width + row % repeats;
        const float sum = exp_row(row_S + seen.begin, lses[place], seen.size, row_S + seen.begin);
        // Of the very weights, so that their gradients add up to nothing: a key's bias lives on that.
        const float mean = dot_row(row_S + seen.begin, d_row_S + seen.begin, seen.size) / sum;
        softmax_backward_row(row_S + seen.begin, mean, seen.size, d_row_S + seen.begin);
        clear_others(row_S, block.num_keys, seen);
        clear_others(d_row_S, block.num_keys, seen);
      }
      spread(weights, d_out, shape, block, d_values_TK);
      spread(d_weights, q, shape, block, d_keys_TK);
      combine(d_weights, keys, shape, block, d_q);
      put_rows(d_q, shape, block, static_cast<float>(scale), d_queries);
    }
  });
  std::vector<Tensor> of_group(static_cast<size_t>(shape.groups));
  for (auto& sums : sums_2TK) {
    for (auto& [group, sum_2TK] : sums) {
      Tensor& whole_2TK = of_group[static_cast<size_t>(group)];
      whole_2TK = whole_2TK.defined() ? whole_2TK.add_(sum_2TK) : sum_2TK;
    }
  }
  for (std::int64_t group = 0; group < shape.groups; ++group) {
    const Tensor& sum_2TK = of_group[static_cast<size_t>(group)];
    if (!sum_2TK.defined()) continue;  // no tokens
    result.d_k_TGK.select(1, group).copy_(sum_2TK[0]);
    result.d_v_TGK.select(1, group).copy_(sum_2TK[1]);
  }
  return result;
}

}  // namespace ddro::ops::cpu
