// Weights in MXFP4, a microscaling format of the Open Compute Project: 32 numbers of four bits share a power
// of two.
#pragma once

#include <string>

#include "ddro/base/tensor_io.h"

namespace ddro::models {

// Each pair NAME_blocks (uint8, experts x out x groups x 16: two numbers a byte, the lower bits first) and
// NAME_scales (uint8, experts x out x groups: the exponent, with 127 added) becomes NAME: bfloat16, experts x
// in x out. Error(kModel) that begins with [where]: a pair that is not whole, or of other shapes or types.
void unpack_mxfp4(NamedTensors& tensors, const std::string& where);

}  // namespace ddro::models
