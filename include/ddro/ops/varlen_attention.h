// Causal attention over packed segments, with shared prefixes.
//
// Legend: T packed tokens, H query heads, G key/value heads, K head width.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "ddro/base/tensor.h"
#include "ddro/ops/alibi.h"
#include "ddro/ops/gather_rows.h"

namespace ddro::ops {

// Packed tokens [begin, begin + length) attend causally to themselves and, before that, to every token of
// `parent`, an earlier segment, and of all that `parent` attends to: segments are the nodes of a prefix tree.
struct AttentionSegment {
  std::int64_t begin = 0;
  std::int64_t length = 0;
  std::int64_t parent = -1;  // index of a segment; -1: none
};

// Segments of similar shape that run as one batched call, padded to the longest: B segments of Q queries and
// S keys. Padding repeats a token of the segment; no real query sees a padded key, no padded result is read.
struct AttentionGroup {
  std::int64_t num_segments = 0;  // B
  std::int64_t query_length = 0;  // Q
  std::int64_t key_length = 0;    // S
  bool has_prefix = false;
  Tensor query_indices;         // B * Q packed indices
  Tensor key_indices;           // B * S packed indices; the query indices themselves without a prefix
  Tensor query_positions_B1Q1;  // distance from the sequence's start; int32
  Tensor key_positions_B11S;    // beyond every query's for padding
};

// For batched scaled-dot-product attention: the groups, and where each packed token's result lies in their
// concatenated outputs.
struct AttentionGroups {
  std::vector<AttentionGroup> groups;
  Tensor output_indices_T;
};

// For the variable-length kernel: cumulative query and key lengths (int32), and which token each key is
// (prefix, then own tokens, segment by segment); none where no segment has a parent, so that keys are the
// tokens as they lie.
struct AttentionLengths {
  Tensor cumulative_queries, cumulative_keys;
  std::optional<RowGather> keys;
};

// The segments of a packed batch, which tile [0, T) in order, with what a device needs to run over them. That
// is made when it is first asked for, for all copies of a layout: either kernel needs no more than its own.
// Not for use by several threads at once before that.
class AttentionLayout {
 public:
  AttentionLayout(std::vector<AttentionSegment> segments, at::Device device);

  const std::vector<AttentionSegment>& segments() const { return segments_; }
  // Tokens of a segment's ancestors.
  std::int64_t prefix_length(size_t segment) const { return prefix_lengths_[segment]; }
  std::int64_t num_tokens() const { return num_tokens_; }
  std::int64_t max_query_length() const { return max_query_; }
  std::int64_t max_key_length() const { return max_key_; }

  const AttentionGroups& groups() const;
  const AttentionLengths& lengths() const;

 private:
  struct Made {
    std::optional<AttentionGroups> groups;
    std::optional<AttentionLengths> lengths;
  };

  AttentionGroups make_groups() const;
  AttentionLengths make_lengths() const;
  void append_prefix(size_t segment, std::vector<std::int64_t>& packed_indices) const;
  AttentionGroup make_group(const std::vector<size_t>& members) const;

  std::vector<AttentionSegment> segments_;
  std::vector<std::int64_t> prefix_lengths_;
  std::int64_t num_tokens_ = 0;
  std::int64_t max_query_ = 0;
  std::int64_t max_key_ = 0;
  at::Device device_;
  std::shared_ptr<Made> made_ = std::make_shared<Made>();
};

inline constexpr std::int64_t kNoWindow = std::numeric_limits<std::int64_t>::max();

// Whether attention on a GPU takes the variable-length kernel: half types, head widths that are multiples of
// 8 up to 256, no soft cap.
bool flash_attention_takes(at::ScalarType dtype, std::int64_t head_dim, double softcap);

// softmax(scale q k^T) v per segment; differentiable. q_THK, k_TGK, v_TGK with H a multiple of G; result T x
// H x K. `window`: a token sees itself and the window - 1 before it (Hugging Face's sliding_window). CUDA
// from compute capability 8.0 on, where flash_attention_takes: variable-length flash attention; float32 on
// the CPU: blocks of queries; otherwise scaled-dot-product attention over groups of segments. With a
// `softcap` above 0 the scaled scores x become softcap * tanh(x / softcap). With `sinks_H` (of q's dtype)
// each head's softmax has one more score, that of a key without a value. For these two there is the grouped
// form only, composed. With `alibi` the scaled scores get its biases, by positions in the sequence; in the
// grouped form only, and beside neither of the two.
Tensor varlen_attention(const Tensor& q_THK, const Tensor& k_TGK, const Tensor& v_TGK,
                        const AttentionLayout& layout, double scale, std::int64_t window = kNoWindow,
                        double softcap = 0, const Tensor& sinks_H = {}, const Alibi* alibi = nullptr);

// The same with a soft cap, sinks or both, composed, the softmax in float32 or better. Leading dimensions B;
// Q queries with H heads, S keys with G. mask_B1QS as scaled_dot_product_attention takes it: true where a key
// is seen, or what is added to the scores; undefined where all are seen.
Tensor composed_attention(const Tensor& q_BHQK, const Tensor& k_BGSK, const Tensor& v_BGSK,
                          const Tensor& mask_B1QS, double scale, double softcap, const Tensor& sinks_H);

}  // namespace ddro::ops
