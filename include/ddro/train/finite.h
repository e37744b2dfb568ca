// Whether what is about to be saved can be gone on from.
#pragma once

#include <string>

#include "ddro/base/tensor_io.h"

namespace ddro::train {

// `stored`: a master, or what a checkpoint has under `name` of a moment (Moment::tensors).
bool is_finite(const std::string& name, const Tensor& stored);

}  // namespace ddro::train
