// Root-mean-square normalisation as Hugging Face's Llama has it.
#pragma once

#include "ddro/base/tensor.h"

namespace ddro::ops {

// y = cast(x / sqrt(mean(x^2) + eps)) * weight over the last dimension; normalised in float32 (float64 for
// float64), cast to x's dtype before the product. `weight` has x's dtype. Differentiable once. On CUDA the
// product comes before the cast: one rounding instead of two, so that some numbers of a half type differ by
// one unit in the last place.
Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps);

struct NormedSum {
  Tensor sum;     // x + addend
  Tensor normed;  // rms_norm of it
};

// The norm of a residual stream to which something is added, for x and addend of one shape and dtype.
NormedSum add_rms_norm(const Tensor& x, const Tensor& addend, const Tensor& weight, double eps);

}  // namespace ddro::ops
