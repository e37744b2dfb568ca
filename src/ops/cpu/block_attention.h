// The attention of ddro/ops/varlen_attention.h on the CPU in float32, without soft cap and sinks, without
// autograd.
//
// Legend: T packed tokens, H query heads, G key/value heads, K head width.
#pragma once

#include "ddro/ops/varlen_attention.h"

namespace ddro::ops::cpu {

struct BlockAttention {
  Tensor out_THK;
  Tensor lse_TH;  // log of the sum of each softmax
};

struct BlockAttentionGradients {
  Tensor d_q_THK, d_k_TGK, d_v_TGK;
};

// All tensors are contiguous. The forward's bits do not depend on the number of threads.
BlockAttention block_attention(const Tensor& q_THK, const Tensor& k_TGK, const Tensor& v_TGK,
                               const AttentionLayout& layout, double scale, std::int64_t window);
BlockAttentionGradients block_attention_backward(const Tensor& d_out_THK, const Tensor& q_THK,
                                                 const Tensor& k_TGK, const Tensor& v_TGK,
                                                 const Tensor& lse_TH, const AttentionLayout& layout,
                                                 double scale, std::int64_t window);

}  // namespace ddro::ops::cpu
