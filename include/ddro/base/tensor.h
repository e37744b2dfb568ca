// The one tensor type of the project. Includes only LibTorch's tensor class.
#pragma once

#include <ATen/core/Tensor.h>

namespace ddro {

using Tensor = at::Tensor;

}  // namespace ddro
