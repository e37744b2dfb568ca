// Where tensors on the CPU have their numbers.
#pragma once

#include <cstddef>

#include "ddro/base/block_heap.h"

namespace ddro::ops {

// Tensors of fewer bytes have them where LibTorch puts them.
inline constexpr size_t kLeastBlock = size_t{1} << 20;

// For the whole process, before its first tensor: large tensors have their memory from one BlockHeap
// (ddro/base/block_heap.h). Those of a training step change their sizes from one micro-batch to the next and
// would cut up the heap of the C library, which neither joins what lies apart nor gives it back.
void keep_tensors_in_blocks();

// What freed tensors have left goes back to the kernel.
void give_back_tensor_memory();

BlockHeap::Usage tensor_memory();

}  // namespace ddro::ops
