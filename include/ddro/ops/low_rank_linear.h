// Products with a frozen weight to which a product of two thin matrices is added (LoRA, Hu et al. 2021). The
// sum of the two is never formed; where gradients go is as in ddro/ops/linear.h.
//
// Legend: T tokens, D width, E output width, F feed-forward width, R rank.
#pragma once

#include "ddro/base/tensor.h"

namespace ddro::ops {

// scale * B A. Factors have the dtype of the input.
struct LowRank {
  Tensor a_RD;
  Tensor b_ER;
  double scale = 1;
};

// x (W + scale B A)^T + b: T x E. weight_ED and bias_E (undefined: none) require no gradient; a
// weight may be packed (ddro/ops/packed.h).
Tensor low_rank_linear(const Tensor& x_TD, const Tensor& weight_ED, const Tensor& bias_E,
                       const LowRank& addition);

// (silu(gate) * up) (W + scale B A)^T + b, with a_RF. Keeps gate and up for the backward, not their product.
Tensor low_rank_swiglu_linear(const Tensor& gate_TF, const Tensor& up_TF, const Tensor& weight_EF,
                              const Tensor& bias_E, const LowRank& addition);

}  // namespace ddro::ops
