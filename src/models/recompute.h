// Activation recomputation.
#pragma once

#include <functional>

#include "ddro/base/tensor.h"
#include "models/weight_unit.h"

namespace ddro::models {

// block(x), keeping x alone for the backward, which runs the block once more. The gradients of parameters
// that the block uses are accumulated into their leaves by that second run's own backward: call backward(),
// not grad(). `block` must be a pure function of x and leaves, and is kept until the backward has run.
// `unit`: the weights that it computes with.
Tensor recompute(const std::function<Tensor(const Tensor&)>& block, const Tensor& x,
                 const WeightUnit& unit = {});

}  // namespace ddro::models
