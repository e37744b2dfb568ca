// A product with a weight, and what an adapter makes of it.
//
// Legend: T tokens, D width, E output width, F feed-forward width.
#pragma once

#include <optional>

#include "ddro/base/tensor.h"
#include "ddro/ops/low_rank_linear.h"

namespace ddro::models {

// DoRA's part: the product is scaled to rows of norm `magnitude_E`.
struct Magnitude {
  Tensor magnitude_E;
  Tensor norms_E;  // of the frozen weight's rows
};

struct Linear {
  // E x D, or D x E where it is stored transposed; of all experts, where it is one of theirs; or packed rows.
  Tensor weight;
  Tensor bias;  // likewise; undefined without one
  bool transposed = false;
  std::optional<std::int64_t> expert = std::nullopt;
  std::optional<ops::LowRank> low_rank;
  std::optional<Magnitude> magnitude;

  Tensor weight_ED() const;
  Tensor bias_E() const { return expert && bias.defined() ? bias.select(0, *expert) : bias; }
  // x W^T + b, W with the adapter.
  Tensor operator()(const Tensor& x_TD) const;
  // The same of silu(gate) * up.
  Tensor of_swiglu(const Tensor& gate_TF, const Tensor& up_TF) const;
};

}  // namespace ddro::models
