// The same bits each time.
#pragma once

#include "ddro/base/tensor.h"

namespace ddro::ops {

// On the CPU every operation of this program adds in an order that depends on shapes and the number of
// threads alone. LibTorch's CUDA operations need to be told to, for the whole process: from then on sums with
// repeated indices are sorted first, attention's gradients are added block after block, and an operation that
// has no fixed order throws c10::Error. Called before the first product on `device`.
void require_repeatable(at::Device device);

}  // namespace ddro::ops
