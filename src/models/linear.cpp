#include "models/linear.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "ddro/ops/linear.h"
#include "ddro/ops/product.h"

namespace ddro::models {
namespace {

// The norms of the rows of W + s B A, a constant to autograd, without forming it:
// |w + s b A|^2 = |w|^2 + 2 s b . (A w) + s^2 b . (A A^T b).
Tensor adapted_row_norms(const Linear& linear) {
  const at::NoGradGuard no_grad;
  const ops::LowRank& low_rank = *linear.low_rank;
  const Tensor& norms_E = linear.magnitude->norms_E;
  const Tensor b_ER = low_rank.b_ER.to(norms_E.scalar_type());
  const Tensor crossed_ER =
      ops::linear_product(low_rank.a_RD, linear.weight_ED()).t().to(norms_E.scalar_type());
  const Tensor a_RD = low_rank.a_RD.to(norms_E.scalar_type());
  const Tensor squared_ER = at::mm(b_ER, at::mm(a_RD, a_RD.t()));
  const double scale = low_rank.scale;
  const Tensor added_E =
      (b_ER * crossed_ER).sum(1).mul_(2 * scale).add_((b_ER * squared_ER).sum(1), scale * scale);
  // A weight whose rows B has not moved keeps its norms in every bit.
  return at::where(added_E == 0, norms_E, (norms_E.square() + added_E).clamp_min_(0).sqrt_());
}

// `y_TE`: the product with the adapter's sum, and the bias.
Tensor rescaled(const Linear& linear, const Tensor& y_TE) {
  const Tensor scale_E = linear.magnitude->magnitude_E / adapted_row_norms(linear);
  Tensor scaled_TE = y_TE * scale_E;
  // The bias in it is not to be scaled. Taken back like this, a scale of 1 changes no bit.
  if (linear.bias.defined()) scaled_TE = scaled_TE + linear.bias * (1 - scale_E);
  return scaled_TE.to(y_TE.scalar_type());
}

}  // namespace

Tensor Linear::weight_ED() const {
  const Tensor own = expert ? weight.select(0, *expert) : weight;
  return transposed ? own.t() : own;
}

Tensor Linear::operator()(const Tensor& x_TD) const {
  if (!low_rank) return ops::linear(x_TD, weight_ED(), bias_E());
  if (!magnitude) return ops::low_rank_linear(x_TD, weight_ED(), bias_E(), *low_rank);
  return rescaled(*this, ops::low_rank_linear(x_TD, weight_ED(), bias_E(), *low_rank));
}

Tensor Linear::of_swiglu(const Tensor& gate_TF, const Tensor& up_TF) const {
  if (!low_rank) return ops::swiglu_linear(gate_TF, up_TF, weight_ED(), bias_E());
  if (!magnitude) return ops::low_rank_swiglu_linear(gate_TF, up_TF, weight_ED(), bias_E(), *low_rank);
  return rescaled(*this, ops::low_rank_swiglu_linear(gate_TF, up_TF, weight_ED(), bias_E(), *low_rank));
}

}  // namespace ddro::models
