// What varlen_attention dispatches to, and how a layout groups segments.
#pragma once

#include <cstdint>
#include <vector>

#include "ddro/ops/varlen_attention.h"

namespace ddro::ops {

struct SegmentShape {
  std::int64_t query_length = 0;
  std::int64_t key_length = 0;  // its prefix and itself
};

// Indices into `shapes`, one list a batched call.
std::vector<std::vector<size_t>> plan_attention_groups(const std::vector<SegmentShape>& shapes);

Tensor grouped_attention(const Tensor& q_THK, const Tensor& k_TGK, const Tensor& v_TGK,
                         const AttentionLayout& layout, double scale, std::int64_t window, double softcap = 0,
                         const Tensor& sinks_H = {}, const Alibi* alibi = nullptr);

bool has_flash_attention(at::Device device);
Tensor flash_attention(const Tensor& q_THK, const Tensor& k_TGK, const Tensor& v_TGK,
                       const AttentionLayout& layout, double scale, std::int64_t window);

}  // namespace ddro::ops
