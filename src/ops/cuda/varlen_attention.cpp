// Adapter to LibTorch's variable-length flash attention. Compiled in every build; reached only with a device.
#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContextLight.h>

#include "ops/varlen_attention_kernels.h"

namespace ddro::ops {

bool has_flash_attention(at::Device device) {
  return device.is_cuda() && at::cuda::getDeviceProperties(device.index())->major >= 8;
}

// With causality and unequal lengths the kernel aligns the last query with the last key, which is what a
// prefix needs. The gather's backward sums the gradients of a prefix over the segments that share it, in
// their order.
Tensor flash_attention(const Tensor& q_THK, const Tensor& k_TGK, const Tensor& v_TGK,
                       const AttentionLayout& layout, double scale, std::int64_t window) {
  if (layout.num_tokens() == 0) return at::empty_like(q_THK);
  const std::int64_t left = window >= layout.max_key_length() ? -1 : window - 1;
  const AttentionLengths& lengths = layout.lengths();
  const auto keyed = [&](const Tensor& x) { return lengths.keys ? gather_rows(x, *lengths.keys) : x; };
  return std::get<0>(at::_flash_attention_forward(
      q_THK, keyed(k_TGK), keyed(v_TGK), lengths.cumulative_queries, lengths.cumulative_keys,
      layout.max_query_length(), layout.max_key_length(), /*dropout_p=*/0.0, /*is_causal=*/true,
      /*return_debug_mask=*/false, scale, left, 0));
}

}  // namespace ddro::ops
