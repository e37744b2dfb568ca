// Legend: J frequencies of a rotary embedding.
#include "models/layer_parts.h"

#include <ATen/ATen.h>
#include <ATen/OpMathType.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ddro/base/error.h"

namespace ddro::models {
namespace {

std::optional<Tensor> if_defined(const Tensor& tensor) {
  return tensor.defined() ? std::optional<Tensor>(tensor) : std::nullopt;
}

Tensor layer_norm(const Norm& norm, const Tensor& x) {
  const std::int64_t width = x.size(-1);
  const bool by_head = norm.weight.defined() && norm.weight.dim() == 2;
  if (!by_head) return at::layer_norm(x, {width}, if_defined(norm.weight), if_defined(norm.bias), norm.eps);
  const Tensor wide = x.to(at::toOpMathType(x.scalar_type()));
  return (at::layer_norm(wide, {width}, {}, {}, norm.eps) * norm.weight).to(x.scalar_type());
}

// Turns of the original context below low_freq_factor are slowed down, above high_freq_factor kept, between
// blended.
Tensor llama3_frequencies(const RopeScaling& scaling, const Tensor& plain_J) {
  const Tensor turns_J = scaling.original_max_position_embeddings / (2 * std::numbers::pi / plain_J);
  const Tensor share_J =
      ((turns_J - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor))
          .clamp_(0, 1);
  return (1 - share_J) * plain_J / scaling.factor + share_J * plain_J;
}

// The frequency, as a fractional index, that turns `turns` times within the original context.
double index_of_turns(const RotarySpec& rotary, double turns) {
  const double wavelengths =
      std::log(rotary.scaling.original_max_position_embeddings / (turns * 2 * std::numbers::pi));
  return static_cast<double>(rotary.width) * wavelengths / (2 * std::log(rotary.theta));
}

// Frequencies that turn more than beta_fast times are kept, less than beta_slow times slowed down, between
// blended by a ramp over their indices.
Tensor yarn_frequencies(const RotarySpec& rotary, const Tensor& plain_J) {
  const RopeScaling& scaling = rotary.scaling;
  double first = index_of_turns(rotary, scaling.beta_fast);
  double last = index_of_turns(rotary, scaling.beta_slow);
  if (scaling.truncate) {
    first = std::floor(first);
    last = std::ceil(last);
  }
  first = std::max(first, 0.0);
  last = std::min(last, static_cast<double>(rotary.width) - 1);
  if (first == last) last += 0.001;
  const Tensor slowed_J =
      ((at::arange(plain_J.size(0), plain_J.options()) - first) / (last - first)).clamp_(0, 1);
  return plain_J / scaling.factor * slowed_J + plain_J * (1 - slowed_J);
}

}  // namespace

Tensor Norm::operator()(const Tensor& x) const {
  switch (kind) {
    case NormKind::kRms:
      return ops::rms_norm(x, weight, eps);
    case NormKind::kRmsPlusOne: {
      const auto wide = at::toOpMathType(x.scalar_type());
      return ops::rms_norm(x.to(wide), weight.to(wide) + 1, eps).to(x.scalar_type());
    }
    case NormKind::kLayer:
      return layer_norm(*this, x);
    case NormKind::kLayerPlusOne:
      return layer_norm({kind, eps, weight + 1, bias}, x);
  }
  DDRO_CHECK(false, "a norm of no kind");
}

ops::NormedSum Norm::of_sum(const Tensor& x, const Tensor& addend) const {
  if (kind == NormKind::kRms) return ops::add_rms_norm(x, addend, weight, eps);
  const Tensor sum = x + addend;
  return {sum, (*this)(sum)};
}

Tensor activate(Activation activation, const Tensor& x) {
  switch (activation) {
    case Activation::kSilu:
      return at::silu(x);
    case Activation::kGelu:
      return at::gelu(x);
    case Activation::kGeluTanh:
      return at::gelu(x, "tanh");
    case Activation::kRelu:
      return at::relu(x);
    case Activation::kReluSquared:
      return at::relu(x).square();
  }
  DDRO_CHECK(false, "an activation of no kind");
}

Tensor inverse_frequencies(const RotarySpec& rotary, at::ScalarType dtype) {
  const Tensor exponents_J = at::arange(0, rotary.width, 2, at::TensorOptions(dtype)).div_(rotary.width);
  const Tensor powers_J = at::pow(rotary.theta, exponents_J);
  const RopeScaling& scaling = rotary.scaling;
  switch (scaling.type) {
    case RopeScaling::Type::kDefault:
      return powers_J.reciprocal();
    case RopeScaling::Type::kLinear:
      return powers_J.reciprocal() / scaling.factor;
    case RopeScaling::Type::kLlama3:
      return llama3_frequencies(scaling, powers_J.reciprocal());
    case RopeScaling::Type::kYarn:
      return yarn_frequencies(rotary, powers_J.reciprocal());
    case RopeScaling::Type::kLongRope:
      return (powers_J * at::tensor(scaling.short_factor, at::TensorOptions(dtype))).reciprocal();
  }
  DDRO_CHECK(false, "a rope scaling of no type");
}

}  // namespace ddro::models
