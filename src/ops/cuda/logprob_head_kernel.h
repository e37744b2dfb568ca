// Launcher of the head's chunk kernel: raw pointers, no LibTorch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "ops/cuda/float_type.h"

namespace ddro::ops::cuda {

// For each of `num_tokens` rows of `logits` (num_tokens x vocabulary, contiguous), logp = logits[target] -
// logsumexp(logits); then `residual`, unless it is null, gets onehot(target) - softmax(logits) in `type`, at
// the same place of its rows. Logits and logp are float64 for float64 residuals, else float32; of one type
// residual and logits may be the same memory. A `softcap` above 0 replaces the logits by softcap *
// tanh(logits / softcap) before all that, and multiplies the residual by its derivative. Targets are below
// `vocabulary`. Deterministic.
cudaError_t launch_target_logprobs(FloatType type, const void* logits, const std::int64_t* targets,
                                   void* logp, void* residual, std::int64_t num_tokens,
                                   std::int64_t vocabulary, double softcap, cudaStream_t stream);

}  // namespace ddro::ops::cuda
