#include "ddro/ops/varlen_attention.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <algorithm>
#include <numeric>

#include "ddro/base/error.h"
#include "ddro/ops/upload.h"
#include "ops/cpu/block_attention.h"
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

// Tokens of each segment's ancestors.
std::vector<std::int64_t> checked_prefix_lengths(const std::vector<AttentionSegment>& segments) {
  std::vector<std::int64_t> prefix_lengths;
  std::int64_t end = 0;
  for (const AttentionSegment& segment : segments) {
    DDRO_CHECK(segment.begin == end && segment.length > 0, "attention segments must tile the packed tokens");
    end += segment.length;
    DDRO_CHECK(segment.parent >= -1 && segment.parent < static_cast<std::int64_t>(prefix_lengths.size()),
               "a segment's parent must be an earlier segment");
    const auto parent = static_cast<size_t>(segment.parent);
    prefix_lengths.push_back(segment.parent < 0 ? 0 : prefix_lengths[parent] + segments[parent].length);
  }
  DDRO_CHECK(end < kPaddedKeyPosition, "too many packed tokens");
  return prefix_lengths;
}

}  // namespace

AttentionLayout::AttentionLayout(std::vector<AttentionSegment> segments, at::Device device)
    : segments_(std::move(segments)), prefix_lengths_(checked_prefix_lengths(segments_)), device_(device) {
  for (size_t i = 0; i < segments_.size(); ++i) {
    num_tokens_ += segments_[i].length;
    max_query_ = std::max(max_query_, segments_[i].length);
    max_key_ = std::max(max_key_, prefix_lengths_[i] + segments_[i].length);
  }
}

const AttentionGroups& AttentionLayout::groups() const {
  if (!made_->groups) made_->groups = make_groups();
  return *made_->groups;
}

const AttentionLengths& AttentionLayout::lengths() const {
  if (!made_->lengths) made_->lengths = make_lengths();
  return *made_->lengths;
}

AttentionGroups AttentionLayout::make_groups() const {
  std::vector<SegmentShape> shapes;
  for (size_t i = 0; i < segments_.size(); ++i)
    shapes.push_back({segments_[i].length, prefix_lengths_[i] + segments_[i].length});
  AttentionGroups result;
  std::vector<std::int64_t> output_indices(static_cast<size_t>(num_tokens_));
  std::int64_t row = 0;
  for (const auto& members : plan_attention_groups(shapes)) {
    result.groups.push_back(make_group(members));
    for (const size_t member : members) {
      const AttentionSegment& segment = segments_[member];
      for (std::int64_t i = 0; i < segment.length; ++i) {
        output_indices[static_cast<size_t>(segment.begin + i)] = row + i;
      }
      row += result.groups.back().query_length;
    }
  }
  result.output_indices_T = to_device(output_indices, device_);
  return result;
}

AttentionLengths AttentionLayout::make_lengths() const {
  std::vector<std::int64_t> query_ends{0}, key_ends{0}, keys;
  for (size_t i = 0; i < segments_.size(); ++i) {
    append_prefix(i, keys);
    for (std::int64_t j = 0; j < segments_[i].length; ++j) keys.push_back(segments_[i].begin + j);
    query_ends.push_back(segments_[i].begin + segments_[i].length);
    DDRO_CHECK(keys.size() < static_cast<size_t>(kPaddedKeyPosition), "too many gathered keys");
    key_ends.push_back(static_cast<std::int64_t>(keys.size()));
  }
  const std::vector<Tensor> ends = upload({query_ends, key_ends}, device_);
  AttentionLengths result = {ends[0].to(at::kInt), ends[1].to(at::kInt), std::nullopt};
  if (static_cast<std::int64_t>(keys.size()) > num_tokens_)
    result.keys = make_row_gather(keys, num_tokens_, device_);
  return result;
}

// The ancestors' tokens from the sequence's beginning on.
void AttentionLayout::append_prefix(size_t segment, std::vector<std::int64_t>& packed_indices) const {
  const auto first = static_cast<std::ptrdiff_t>(packed_indices.size());
  packed_indices.resize(packed_indices.size() + static_cast<size_t>(prefix_lengths_[segment]));
  auto end = packed_indices.end();
  for (std::int64_t i = segments_[segment].parent; i >= 0; i = segments_[static_cast<size_t>(i)].parent) {
    const AttentionSegment& ancestor = segments_[static_cast<size_t>(i)];
    end -= static_cast<std::ptrdiff_t>(ancestor.length);
    std::iota(end, end + static_cast<std::ptrdiff_t>(ancestor.length), ancestor.begin);
  }
  DDRO_CHECK(end == packed_indices.begin() + first, "prefix lengths are those of the ancestors");
}

AttentionGroup AttentionLayout::make_group(const std::vector<size_t>& members) const {
  AttentionGroup group;
  group.num_segments = static_cast<std::int64_t>(members.size());
  for (const size_t member : members) {
    group.has_prefix |= prefix_lengths_[member] > 0;
    group.query_length = std::max(group.query_length, segments_[member].length);
    group.key_length = std::max(group.key_length, prefix_lengths_[member] + segments_[member].length);
  }
  std::vector<std::int64_t> queries, keys;
  std::vector<std::int32_t> query_positions, key_positions;
  for (const size_t member : members) {
    const AttentionSegment& segment = segments_[member];
    const std::int64_t prefix = prefix_lengths_[member];
    const std::int64_t last = segment.begin + segment.length - 1;
    for (std::int64_t i = 0; i < group.query_length; ++i) {
      queries.push_back(std::min(segment.begin + i, last));
      query_positions.push_back(static_cast<std::int32_t>(prefix + std::min(i, segment.length - 1)));
    }
    append_prefix(member, keys);
    for (std::int64_t i = 0; i < group.key_length - prefix; ++i)
      keys.push_back(std::min(segment.begin + i, last));
    for (std::int64_t i = 0; i < group.key_length; ++i) {
      const bool real = i < prefix + segment.length;
      key_positions.push_back(real ? static_cast<std::int32_t>(i) : kPaddedKeyPosition);
    }
  }
  group.query_indices = to_device(queries, device_);
  group.key_indices = group.has_prefix ? to_device(keys, device_) : group.query_indices;
  group.query_positions_B1Q1 =
      to_device(query_positions, {group.num_segments, 1, group.query_length, 1}, device_);
  group.key_positions_B11S = to_device(key_positions, {group.num_segments, 1, 1, group.key_length}, device_);
  return group;
}

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct LayoutHolder : torch::CustomClassHolder {
  explicit LayoutHolder(AttentionLayout its_layout) : layout(std::move(its_layout)) {}
  AttentionLayout layout;
};

class BlockAttentionFunction : public torch::autograd::Function<BlockAttentionFunction> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& q_THK, const Tensor& k_TGK, const Tensor& v_TGK,
                        const AttentionLayout& layout, double scale, std::int64_t window) {
    const Tensor q = q_THK.contiguous(), k = k_TGK.contiguous(), v = v_TGK.contiguous();
    const cpu::BlockAttention result = cpu::block_attention(q, k, v, layout, scale, window);
    ctx->save_for_backward({q, k, v, result.lse_TH});
    ctx->saved_data["layout"] = c10::IValue::make_capsule(c10::make_intrusive<LayoutHolder>(layout));
    ctx->saved_data["scale"] = scale;
    ctx->saved_data["window"] = window;
    return result.out_THK;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::NoGradGuard no_grad;
    const auto saved = ctx->get_saved_variables();
    const auto capsule = ctx->saved_data["layout"].toCapsule();
    const auto result =
        cpu::block_attention_backward(grads[0].contiguous(), saved[0], saved[1], saved[2], saved[3],
                                      static_cast<const LayoutHolder&>(*capsule).layout,
                                      ctx->saved_data["scale"].toDouble(), ctx->saved_data["window"].toInt());
    return {result.d_q_THK, result.d_k_TGK, result.d_v_TGK, Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

bool flash_attention_takes(at::ScalarType dtype, std::int64_t head_dim, double softcap) {
  return (dtype == at::kBFloat16 || dtype == at::kHalf) && head_dim % 8 == 0 && head_dim <= 256 &&
         softcap == 0;
}

Tensor varlen_attention(const Tensor& q_THK, const Tensor& k_TGK, const Tensor& v_TGK,
                        const AttentionLayout& layout, double scale, std::int64_t window, double softcap,
                        const Tensor& sinks_H, const Alibi* alibi) {
  DDRO_CHECK(q_THK.dim() == 3 && k_TGK.dim() == 3 && k_TGK.sizes() == v_TGK.sizes(),
             "q, k and v must be T x heads x K");
  DDRO_CHECK(q_THK.size(0) == layout.num_tokens() && k_TGK.size(0) == layout.num_tokens(),
             "the layout is not the one of these tokens");
  DDRO_CHECK(q_THK.size(2) == k_TGK.size(2) && q_THK.size(1) % k_TGK.size(1) == 0,
             "head counts or widths do not fit");
  DDRO_CHECK(window > 0, "an attention window must be positive");
  DDRO_CHECK(!alibi || (softcap == 0 && !sinks_H.defined()),
             "there are no biases beside a soft cap or sinks");
  // On the CPU the scores' blocks are float32.
  const bool is_short = q_THK.is_cpu() && q_THK.scalar_type() == at::kBFloat16;
  const at::ScalarType type = is_short ? at::kFloat : q_THK.scalar_type();
  if (type != q_THK.scalar_type()) {
    const Tensor out_THK = varlen_attention(q_THK.to(type), k_TGK.to(type), v_TGK.to(type), layout, scale,
                                            window, softcap, sinks_H, alibi);
    return out_THK.to(q_THK.scalar_type());
  }
  if (!sinks_H.defined() && !alibi && flash_attention_takes(q_THK.scalar_type(), q_THK.size(2), softcap) &&
      has_flash_attention(q_THK.device()))
    return flash_attention(q_THK, k_TGK, v_TGK, layout, scale, window);
  if (!sinks_H.defined() && !alibi && softcap == 0 && q_THK.is_cpu() && q_THK.scalar_type() == at::kFloat)
    return BlockAttentionFunction::apply(q_THK, k_TGK, v_TGK, layout, scale, window);
  return grouped_attention(q_THK, k_TGK, v_TGK, layout, scale, window, softcap, sinks_H, alibi);
}

}  // namespace ddro::ops
