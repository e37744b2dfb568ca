// The part of the head that differs between devices: what happens to one chunk's logits.
#pragma once

#include "ddro/base/tensor.h"

namespace ddro::ops {

enum class Logits {
  kDiscard,   // left in any state
  kResidual,  // overwritten by onehot(target) - softmax(logits)
};

// logits[target] - logsumexp(logits) of each row of logits_CV (contiguous, float16 to float64), which is
// overwritten; `softcap` above 0 caps the logits first, and kResidual has its derivative. Result: C values on
// the logits' device, float64 for float64 logits, else float32, as all sums inside. targets_C: contiguous
// int64 below V. C may be 0.
namespace cpu {
Tensor target_logprobs(Tensor logits_CV, const Tensor& targets_C, Logits after, double softcap = 0);
}
namespace cuda {
Tensor target_logprobs(Tensor logits_CV, const Tensor& targets_C, Logits after, double softcap = 0);
}

}  // namespace ddro::ops
