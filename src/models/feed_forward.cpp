#include "models/feed_forward.h"

#include <ATen/ATen.h>

namespace ddro::models {

FeedForward::FeedForward(const FeedForwardSpec& spec, const ParameterTable& table,
                         std::optional<std::int64_t> expert)
    : gated_(spec.gated()),
      activation_(spec.activation),
      gate_(table[spec.gate]),
      up_(table[spec.up]),
      fused_(table[spec.fused]),
      down_(table[spec.down]) {
  fused_.expert = down_.expert = expert;
}

// silu has a fast form that keeps less; the others are composed.
Tensor FeedForward::operator()(const Tensor& x_TD) const {
  if (!gated_) return down_(activate(activation_, up_(x_TD)));
  const auto [gate_TF, up_TF] = gate_and_up(x_TD);
  if (activation_ == Activation::kSilu && !down_.transposed) return down_.of_swiglu(gate_TF, up_TF);
  return down_(activate(activation_, gate_TF) * up_TF);
}

std::pair<Tensor, Tensor> FeedForward::gate_and_up(const Tensor& x_TD) const {
  if (!fused_.weight.defined()) return {gate_(x_TD), up_(x_TD)};
  const auto halves_TF = fused_(x_TD).chunk(2, 1);
  return {halves_TF[0], halves_TF[1]};
}

}  // namespace ddro::models
