// The feed-forward of a layer, with its tensors.
//
// Legend: T tokens, D width, F feed-forward width.
#pragma once

#include <utility>

#include "models/parameter_table.h"

namespace ddro::models {

class FeedForward {
 public:
  FeedForward(const FeedForwardSpec& spec, const ParameterTable& table);
  Tensor operator()(const Tensor& x_TD) const;

 private:
  std::pair<Tensor, Tensor> gate_and_up(const Tensor& x_TD) const;

  bool gated_;
  Activation activation_;
  Linear gate_, up_, fused_, down_;
};

}  // namespace ddro::models
