// The part of the head that differs between devices: what happens to one chunk's logits.
#pragma once

#include "ddro/base/tensor.h"

namespace ddro::ops {

// logits[target] - logsumexp(logits) of each row of logits_CV (contiguous), which is left in any state.
// `residual_CV`, where it is defined, gets onehot(target) - softmax(logits); it may be logits_CV itself. A
// `softcap` above 0 caps the logits first, and the residual has its derivative. Result: C values on the
// logits' device, float64 for float64 logits, else float32, as all sums inside. targets_C: contiguous int64
// below V. C may be 0.
namespace cpu {
// Logits of any floating type, a residual of the same.
Tensor target_logprobs(Tensor logits_CV, const Tensor& targets_C, Tensor residual_CV, double softcap = 0);
// Of ATen functions: this is the definition.
Tensor composed_target_logprobs(Tensor logits_CV, const Tensor& targets_C, Tensor residual_CV,
                                double softcap = 0);
}  // namespace cpu
namespace cuda {
// Logits of float32, or float64 with a float64 residual.
Tensor target_logprobs(Tensor logits_CV, const Tensor& targets_C, Tensor residual_CV, double softcap = 0);
}  // namespace cuda

}  // namespace ddro::ops
