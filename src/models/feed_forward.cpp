#include "models/feed_forward.h"

#include <ATen/ATen.h>

namespace ddro::models {
namespace {

Tensor limited_swiglu(const Tensor& gate_TF, const Tensor& up_TF, double limit) {
  const Tensor cut_TF = gate_TF.clamp_max(limit);
  return cut_TF * at::sigmoid(cut_TF * 1.702) * (up_TF.clamp(-limit, limit) + 1);
}

}  // namespace

FeedForward::FeedForward(const FeedForwardSpec& spec, const ParameterTable& table,
                         std::optional<std::int64_t> expert)
    : gated_(spec.gated()),
      interleaved_(spec.interleaved),
      activation_(spec.activation),
      limit_(spec.limit),
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
  if (limit_) return down_(limited_swiglu(gate_TF, up_TF, *limit_));
  if (activation_ == Activation::kSilu && !down_.transposed) return down_.of_swiglu(gate_TF, up_TF);
  return down_(activate(activation_, gate_TF) * up_TF);
}

std::pair<Tensor, Tensor> FeedForward::gate_and_up(const Tensor& x_TD) const {
  if (!fused_.weight.defined()) return {gate_(x_TD), up_(x_TD)};
  const Tensor both_T2F = fused_(x_TD);
  if (interleaved_) return {both_T2F.slice(1, 0, std::nullopt, 2), both_T2F.slice(1, 1, std::nullopt, 2)};
  const auto halves_TF = both_T2F.chunk(2, 1);
  return {halves_TF[0], halves_TF[1]};
}

}  // namespace ddro::models
