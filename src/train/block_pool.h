// Memory of tensors that come and go in the same sizes.
#pragma once

#include <unordered_map>
#include <vector>

#include "ddro/base/tensor.h"

namespace ddro::train {

// Gives tensors their memory and takes it away. The tensors stay the same, and so does what a graph has saved
// of them.
//
// Blocks of a CPU's heap wait for the next tensor of their size. Given back to the heap they would soon be
// cut up by what is allocated meanwhile, and large ones found nowhere again: it would grow by them. A GPU's
// allocator keeps blocks by itself.
class BlockPool {
 public:
  // The tensor, which has no memory, gets some with any content.
  void give(const Tensor& tensor);
  void take(const Tensor& tensor);
  // Without keeping it.
  static void free(const Tensor& tensor);

 private:
  std::unordered_map<size_t, std::vector<at::DataPtr>> kept_;  // by their size
};

}  // namespace ddro::train
