// Numbers that are not finite: whether there are any in what is about to be saved, and where they come from.
#pragma once

#include <string>

#include "ddro/base/tensor_io.h"
#include "ddro/train/parameters.h"

namespace ddro::train {

// `stored`: a master, or what a checkpoint has under `name` of a moment (Moment::tensors).
bool is_finite(const std::string& name, const Tensor& stored);

// Of a step whose loss or gradient is not finite, where that began: "the weights NAME" that it computed with,
// else "the gradient of NAME", the last in the model's order: the backward pass met it first. Empty where
// neither holds such a value. All ranks call it alike.
std::string non_finite_origin(const Parameters& parameters);

}  // namespace ddro::train
