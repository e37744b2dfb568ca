// What a layer has besides products with weights: norms, activations, angles of rotary embeddings.
//
// Legend: J frequencies of a rotary embedding.
#pragma once

#include "ddro/base/tensor.h"
#include "ddro/models/model_spec.h"
#include "ddro/ops/rms_norm.h"

namespace ddro::models {

// One norm with its tensors; over the last dimension.
struct Norm {
  NormKind kind = NormKind::kRms;
  double eps = 0;
  Tensor weight, bias;  // undefined where there is none

  Tensor operator()(const Tensor& x) const;
  // x + addend, and the norm of that.
  ops::NormedSum of_sum(const Tensor& x, const Tensor& addend) const;
};

Tensor activate(Activation activation, const Tensor& x);

// theta^(-2j/width), scaled; in the dtype in which Hugging Face computes it (float32), or float64 throughout.
Tensor inverse_frequencies(const RotarySpec& rotary, at::ScalarType dtype);

}  // namespace ddro::models
