// The language-model head fused with the loss: hidden states of completion positions -> each completion's
// log-probability, and from the loss's derivative straight back to gradients, chunk by chunk. No logits
// outlive a chunk.
//
//   logits = h W^T;  logp(completion) = sum over its tokens of (logits[target] - logsumexp(logits))
//   d logits = coefficient(completion) * (onehot(target) - softmax(logits));  dh = d logits W;
//   dW += d logits^T h
//
// With a soft cap c the logits are c tanh(h W^T / c), in float32 or better, and d logits has their derivative
// 1 - (logits / c)^2 as one more factor.
//
// Logits in the dtype of `hidden_CD` (float16, bfloat16, float32 or float64); on CUDA, and of bfloat16 on a
// CPU that does not multiply it, in float32 or better. Log-sum-exp, softmax and every sum over the vocabulary
// in float32 (float64 for float64 input); sums over a completion's tokens in float64. The coefficient is
// applied after the matmul for dh and to h before the one for dW, so that small coefficients do not vanish in
// half precision. Not-a-number input gives not-a-number results for its completion. Errors: Error(kModel) for
// a target outside the vocabulary. CUDA kernels and their CPU twin follow one contract.
//
// Legend: C completion tokens, D width, V vocabulary, N completions.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "ddro/base/tensor.h"

namespace ddro::ops {

struct HeadInput {
  Tensor hidden_CD;  // after the final norm; no autograd history is used
  Tensor weight_VD;  // same dtype and device
  Tensor targets_C;  // int64, same device; on CUDA, where looking would make the host wait, below V unchecked
  // N + 1 entries from 0 to C, never descending: completion n is [offsets[n], offsets[n+1]).
  std::vector<std::int64_t> completion_offsets;
  double softcap = 0;  // 0: none
  Tensor bias_V;       // added to h W^T; undefined: none
};

// Given log-probabilities of completions first, first + 1, ..., writes d loss / d logp of each.
using CompletionGradient =
    std::function<void(std::int64_t first, std::span<const double> logp, std::span<double> dloss_dlogp)>;

struct HeadOptions {
  std::int64_t chunk_tokens = 0;  // completion tokens whose logits exist at one time; 0: default_chunk_tokens
};

// 2048 (CPU) or 8192 (CUDA, where the host waits once a chunk), or fewer where a chunk's logits would exceed
// 2^26 or 2^28 numbers, but at least 256.
std::int64_t default_chunk_tokens(std::int64_t vocabulary, at::Device device);

// What each logit of a chunk takes while gradients are computed, for hidden states of `dtype`.
double bytes_of_logit(at::ScalarType dtype, at::Device device);

// Log-probability of each completion; builds no graph. With the units of a fused pass over equal hidden
// states, the results have the same bits as that pass's.
std::vector<double> completion_logprobs(const HeadInput& input, std::span<const std::int64_t> unit_offsets,
                                        const HeadOptions& options = {});

// Of each completion the sum over its tokens of logp(token) + H, H the entropy of the distribution that the
// token was drawn from: expected to be 0 for what the model itself has sampled, whatever the prompt.
std::vector<double> excess_logprobs(const HeadInput& input, const HeadOptions& options = {});

struct HeadResult {
  std::vector<double> logp;  // N
  Tensor d_hidden_CD;        // dtype of hidden_CD
  Tensor d_bias_V;           // float32, or float64 for float64 input; undefined without a bias
};

// One pass over the vocabulary for chunks of whole units; a unit longer than chunk_tokens takes two
// (log-probabilities first, logits again for the gradient). `unit_offsets`: ascending completion indices from
// 0 to N between which the gradient function needs all completions in one call (each completion, each pair,
// or the whole batch). `d_weight_VD`: added to in its own dtype (float32 or float64); undefined when the head
// is frozen, then no work is done for it. What `gradient` throws passes through, and d_weight_VD then holds
// the chunks before.
HeadResult fused_logprob_head(const HeadInput& input, std::span<const std::int64_t> unit_offsets,
                              const CompletionGradient& gradient, Tensor d_weight_VD,
                              const HeadOptions& options = {});

}  // namespace ddro::ops
