// Attention as batched scaled-dot-product calls over groups of segments: gather, attend, put back.
//
// Legend: B segments of a group, Q padded query length, S padded key length, H query heads, G key/value
// heads, K width.
#include <ATen/ATen.h>
#include <ATen/OpMathType.h>

#include <algorithm>
#include <numeric>

#include "ops/varlen_attention_kernels.h"

namespace ddro::ops {
namespace {

// One more call costs about as much as this many more entries of the score matrix (measured on two cores with
// 9 heads of width 64), so padding is preferred to a call of its own below it.
constexpr std::int64_t kCallCost = 4096;
// Masks and padded copies of a group of several segments stay below this many score entries.
constexpr std::int64_t kMaxGroupArea = std::int64_t{1} << 22;

// A contiguous run of sorted segments costs its padded area plus one call: the cheapest cut into runs, by
// dynamic programming over where the last run begins.
void partition(const std::vector<SegmentShape>& shapes, const std::vector<size_t>& sorted,
               std::vector<std::vector<size_t>>& groups) {
  const size_t count = sorted.size();
  std::vector<std::int64_t> best(count + 1, std::numeric_limits<std::int64_t>::max());
  std::vector<size_t> start(count + 1, 0);
  best[0] = 0;
  for (size_t end = 1; end <= count; ++end) {
    std::int64_t queries = 0;
    std::int64_t keys = 0;
    for (size_t begin = end; begin-- > 0;) {
      const SegmentShape& shape = shapes[sorted[begin]];
      queries = std::max(queries, shape.query_length);
      keys = std::max(keys, shape.key_length);
      const std::int64_t area = static_cast<std::int64_t>(end - begin) * queries * keys;
      if (area > kMaxGroupArea && end - begin > 1) break;
      if (best[begin] + area + kCallCost < best[end]) {
        best[end] = best[begin] + area + kCallCost;
        start[end] = begin;
      }
    }
  }
  for (size_t end = count; end > 0; end = start[end]) {
    groups.emplace_back(sorted.begin() + static_cast<std::ptrdiff_t>(start[end]),
                        sorted.begin() + static_cast<std::ptrdiff_t>(end));
  }
}

Tensor gather(const Tensor& x_THK, const Tensor& indices, std::int64_t num_segments) {
  return x_THK.index_select(0, indices)
      .view({num_segments, -1, x_THK.size(1), x_THK.size(2)})
      .transpose(1, 2);
}

// What is added to the scores: the biases, and minus infinity where a key is not seen.
Tensor biased_mask(const Alibi& alibi, const AttentionGroup& group, const Tensor& seen_B1QS,
                   at::ScalarType dtype) {
  return alibi_biases(alibi, group.query_positions_B1Q1, group.key_positions_B11S, dtype)
      .masked_fill_(seen_B1QS.logical_not(), -std::numeric_limits<double>::infinity());
}

Tensor attend(const AttentionGroup& group, const Tensor& q_THK, const Tensor& k_TGK, const Tensor& v_TGK,
              double scale, std::int64_t window, double softcap, const Tensor& sinks_H, const Alibi* alibi) {
  const Tensor q_BHQK = gather(q_THK, group.query_indices, group.num_segments);
  const Tensor k_BGSK = gather(k_TGK, group.key_indices, group.num_segments);
  const Tensor v_BGSK = gather(v_TGK, group.key_indices, group.num_segments);
  // Without a prefix the padded keys come after every real query, so plain causality hides them.
  const bool composed = softcap > 0 || sinks_H.defined();
  const bool plain = !composed && !alibi && !group.has_prefix && window >= group.key_length;
  Tensor mask_B1QS;
  if (!plain) {
    mask_B1QS = group.key_positions_B11S <= group.query_positions_B1Q1;
    if (window < group.key_length) {
      mask_B1QS.logical_and_(group.key_positions_B11S > group.query_positions_B1Q1 - window);
    }
  }
  if (composed) {
    return composed_attention(q_BHQK, k_BGSK, v_BGSK, mask_B1QS, scale, softcap, sinks_H)
        .transpose(1, 2)
        .reshape({-1, q_THK.size(1), q_THK.size(2)});
  }
  std::optional<Tensor> mask_BHQS;  // of all heads, where H is 1
  if (!plain) mask_BHQS = alibi ? biased_mask(*alibi, group, mask_B1QS, q_THK.scalar_type()) : mask_B1QS;
  const bool grouped_heads = q_THK.size(1) != k_TGK.size(1);
  const Tensor out_BHQK = at::scaled_dot_product_attention(
      q_BHQK, k_BGSK, v_BGSK, mask_BHQS, /*dropout_p=*/0.0, /*is_causal=*/plain, scale, grouped_heads);
  return out_BHQK.transpose(1, 2).reshape({-1, q_THK.size(1), q_THK.size(2)});
}

// The scores of one more key, each head's own, behind the others.
Tensor with_sinks(const Tensor& scores_BGRQS, const Tensor& sinks_H) {
  const auto sizes = scores_BGRQS.sizes();
  const Tensor sinks_BGRQ1 = sinks_H.view({1, sizes[1], sizes[2], 1, 1})
                                 .expand({sizes[0], sizes[1], sizes[2], sizes[3], 1})
                                 .to(scores_BGRQS.scalar_type());
  return at::cat({scores_BGRQS, sinks_BGRQ1}, -1);
}

}  // namespace

std::vector<std::vector<size_t>> plan_attention_groups(const std::vector<SegmentShape>& shapes) {
  std::vector<size_t> plain, prefixed;
  for (size_t i = 0; i < shapes.size(); ++i) {
    (shapes[i].key_length > shapes[i].query_length ? prefixed : plain).push_back(i);
  }
  std::vector<std::vector<size_t>> groups;
  for (auto* kind : {&plain, &prefixed}) {
    std::stable_sort(kind->begin(), kind->end(), [&](size_t a, size_t b) {
      return std::pair(shapes[a].key_length, shapes[a].query_length) <
             std::pair(shapes[b].key_length, shapes[b].query_length);
    });
    partition(shapes, *kind, groups);
  }
  return groups;
}

Tensor composed_attention(const Tensor& q_BHQK, const Tensor& k_BGSK, const Tensor& v_BGSK,
                          const Tensor& mask_B1QS, double scale, double softcap, const Tensor& sinks_H) {
  const std::int64_t groups = k_BGSK.size(1);
  const Tensor q_BGRQK = q_BHQK.unflatten(1, {groups, -1});
  Tensor scores_BGRQS = at::matmul(q_BGRQK, k_BGSK.unsqueeze(2).transpose(3, 4)) * scale;
  if (softcap > 0) scores_BGRQS = at::tanh(scores_BGRQS / softcap) * softcap;
  if (mask_B1QS.defined()) {
    const Tensor mask_B11QS = mask_B1QS.unsqueeze(2);
    scores_BGRQS =
        mask_B11QS.scalar_type() == at::kBool
            ? scores_BGRQS.masked_fill(mask_B11QS.logical_not(), -std::numeric_limits<double>::infinity())
            : scores_BGRQS + mask_B11QS;
  }
  if (sinks_H.defined()) scores_BGRQS = with_sinks(scores_BGRQS, sinks_H);
  const Tensor weights_BGRQS =
      at::softmax(scores_BGRQS, -1, at::toOpMathType(scores_BGRQS.scalar_type())).to(v_BGSK.scalar_type());
  return at::matmul(weights_BGRQS.narrow(-1, 0, k_BGSK.size(2)), v_BGSK.unsqueeze(2)).flatten(1, 2);
}

Tensor grouped_attention(const Tensor& q_THK, const Tensor& k_TGK, const Tensor& v_TGK,
                         const AttentionLayout& layout, double scale, std::int64_t window, double softcap,
                         const Tensor& sinks_H, const Alibi* alibi) {
  std::vector<Tensor> outputs;
  for (const AttentionGroup& group : layout.groups().groups) {
    outputs.push_back(attend(group, q_THK, k_TGK, v_TGK, scale, window, softcap, sinks_H, alibi));
  }
  if (outputs.empty()) return at::empty_like(q_THK);
  return at::cat(outputs).index_select(0, layout.groups().output_indices_T);
}

}  // namespace ddro::ops
