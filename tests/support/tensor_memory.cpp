// For tests of what computes: memory of tensors as the program has it.
#include "ddro/ops/tensor_memory.h"

namespace {

const bool kInBlocks = (ddro::ops::keep_tensors_in_blocks(), true);

}  // namespace
