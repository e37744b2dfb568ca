#include "ddro/ops/varlen_attention.h"

#include <torch/torch.h>

#include <algorithm>

#include "ddro/base/error.h"
#include "ops/varlen_attention_kernels.h"

namespace ddro::ops {
namespace {

// Not the largest int32: differences of positions must not overflow.
constexpr std::int32_t kPaddedKeyPosition = std::numeric_limits<std::int32_t>::max() / 2;

Tensor to_device(const std::vector<std::int64_t>& values, at::Device device) {
  return at::tensor(values, at::kLong).to(device);
}

Tensor to_device(const std::vector<std::int32_t>& values, at::IntArrayRef shape, at::Device device) {
  return at::tensor(values, at::kInt).reshape(shape).to(device);
}

void check_segments(const std::vector<AttentionSegment>& segments) {
  std::int64_t end = 0;
  for (const AttentionSegment& segment : segments) {
    DDRO_CHECK(segment.begin == end && segment.length > 0, "attention segments must tile the packed tokens");
    end += segment.length;
    DDRO_CHECK(segment.prefix_length >= 0, "a negative prefix length");
    if (segment.prefix_length == 0) continue;
    const auto owner = std::lower_bound(
        segments.begin(), segments.end(), segment.prefix_begin,
        [](const AttentionSegment& other, std::int64_t begin) { return other.begin < begin; });
    DDRO_CHECK(owner != segments.end() && owner->begin == segment.prefix_begin &&
                   owner->begin < segment.begin && owner->length >= segment.prefix_length &&
                   owner->prefix_length == 0,
               "a prefix must be the beginning of an earlier segment without a prefix");
  }
  DDRO_CHECK(end < kPaddedKeyPosition, "too many packed tokens");
}

AttentionGroup make_group(const std::vector<AttentionSegment>& segments,
                          const std::vector<std::int64_t>& members, at::Device device) {
  AttentionGroup group;
  group.num_segments = static_cast<std::int64_t>(members.size());
  for (const std::int64_t member : members) {
    const AttentionSegment& segment = segments[static_cast<size_t>(member)];
    group.has_prefix |= segment.prefix_length > 0;
    group.query_length = std::max(group.query_length, segment.length);
    group.key_length = std::max(group.key_length, segment.prefix_length + segment.length);
  }
  std::vector<std::int64_t> queries, keys;
  std::vector<std::int32_t> query_positions, key_positions;
  for (const std::int64_t member : members) {
    const AttentionSegment& segment = segments[static_cast<size_t>(member)];
    const std::int64_t last = segment.begin + segment.length - 1;
    for (std::int64_t i = 0; i < group.query_length; ++i) {
      queries.push_back(std::min(segment.begin + i, last));
      query_positions.push_back(
          static_cast<std::int32_t>(segment.prefix_length + std::min(i, segment.length - 1)));
    }
    for (std::int64_t i = 0; i < group.key_length; ++i) {
      const std::int64_t own = i - segment.prefix_length;
      keys.push_back(own < 0 ? segment.prefix_begin + i : std::min(segment.begin + own, last));
      key_positions.push_back(own < segment.length ? static_cast<std::int32_t>(i) : kPaddedKeyPosition);
    }
  }
  group.query_indices = to_device(queries, device);
  group.key_indices = group.has_prefix ? to_device(keys, device) : group.query_indices;
  group.query_positions_B1Q1 =
      to_device(query_positions, {group.num_segments, 1, group.query_length, 1}, device);
  group.key_positions_B11S = to_device(key_positions, {group.num_segments, 1, 1, group.key_length}, device);
  return group;
}

}  // namespace

AttentionLayout::AttentionLayout(std::vector<AttentionSegment> segments, at::Device device)
    : segments_(std::move(segments)) {
  check_segments(segments_);
  for (const AttentionSegment& segment : segments_) {
    num_tokens_ += segment.length;
    max_query_ = std::max(max_query_, segment.length);
    max_key_ = std::max(max_key_, segment.prefix_length + segment.length);
  }

  std::vector<std::int64_t> output_indices(static_cast<size_t>(num_tokens_));
  std::int64_t row = 0;
  for (const auto& members : plan_attention_groups(segments_)) {
    groups.push_back(make_group(segments_, members, device));
    for (const std::int64_t member : members) {
      const AttentionSegment& segment = segments_[static_cast<size_t>(member)];
      for (std::int64_t i = 0; i < segment.length; ++i) {
        output_indices[static_cast<size_t>(segment.begin + i)] = row + i;
      }
      row += groups.back().query_length;
    }
  }
  output_indices_T = to_device(output_indices, device);
  if (!device.is_cuda()) return;

  std::vector<std::int32_t> query_ends{0}, key_ends{0};
  std::vector<std::int64_t> keys;
  for (const AttentionSegment& segment : segments_) {
    for (std::int64_t i = 0; i < segment.prefix_length; ++i) keys.push_back(segment.prefix_begin + i);
    for (std::int64_t i = 0; i < segment.length; ++i) keys.push_back(segment.begin + i);
    query_ends.push_back(static_cast<std::int32_t>(segment.begin + segment.length));
    DDRO_CHECK(keys.size() < static_cast<size_t>(kPaddedKeyPosition), "too many gathered keys");
    key_ends.push_back(static_cast<std::int32_t>(keys.size()));
  }
  cumulative_query_lengths = to_device(query_ends, {-1}, device);
  cumulative_key_lengths = to_device(key_ends, {-1}, device);
  key_indices = to_device(keys, device);
}

Tensor varlen_attention(const Tensor& q_THK, const Tensor& k_TGK, const Tensor& v_TGK,
                        const AttentionLayout& layout, double scale, std::int64_t window) {
  DDRO_CHECK(q_THK.dim() == 3 && k_TGK.dim() == 3 && k_TGK.sizes() == v_TGK.sizes(),
             "q, k and v must be T x heads x K");
  DDRO_CHECK(q_THK.size(0) == layout.num_tokens() && k_TGK.size(0) == layout.num_tokens(),
             "the layout is not the one of these tokens");
  DDRO_CHECK(q_THK.size(2) == k_TGK.size(2) && q_THK.size(1) % k_TGK.size(1) == 0,
             "head counts or widths do not fit");
  DDRO_CHECK(window > 0, "an attention window must be positive");
  if (flash_attention_supports(q_THK)) return flash_attention(q_THK, k_TGK, v_TGK, layout, scale, window);
  return grouped_attention(q_THK, k_TGK, v_TGK, layout, scale, window);
}

}  // namespace ddro::ops
