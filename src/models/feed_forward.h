// The feed-forward of a layer, with its tensors.
//
// Legend: T tokens, D width, F feed-forward width.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "models/parameter_table.h"

namespace ddro::models {

class FeedForward {
 public:
  // `expert`: which of those whose tensors are stacked.
  FeedForward(const FeedForwardSpec& spec, const ParameterTable& table,
              std::optional<std::int64_t> expert = std::nullopt);
  Tensor operator()(const Tensor& x_TD) const;

 private:
  std::pair<Tensor, Tensor> gate_and_up(const Tensor& x_TD) const;

  bool gated_, interleaved_;
  Activation activation_;
  std::optional<double> limit_;
  Linear gate_, up_, fused_, down_;
};

}  // namespace ddro::models
