// Launcher of the head's chunk kernel: raw pointers, no LibTorch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "ops/cuda/float_type.h"

namespace ddro::ops::cuda {

// For each of `num_tokens` rows of `logits` (num_tokens x vocabulary, contiguous), logp = logits[target] -
// logsumexp(logits), in float64 for float64 logits, else in float32; with `leave_residual` the row is then
// overwritten by onehot(target) - softmax(logits). A `softcap` above 0 replaces the logits by softcap *
// tanh(logits / softcap) before all that, and multiplies what is left by its derivative. Targets are below
// `vocabulary`. Deterministic.
cudaError_t launch_target_logprobs(FloatType type, void* logits, const std::int64_t* targets, void* logp,
                                   std::int64_t num_tokens, std::int64_t vocabulary, bool leave_residual,
                                   double softcap, cudaStream_t stream);

}  // namespace ddro::ops::cuda
