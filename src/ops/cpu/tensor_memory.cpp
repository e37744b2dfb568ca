#include "ddro/ops/tensor_memory.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <string>

namespace ddro::ops {
namespace {

// Never destroyed: tensors may live as long as the process.
BlockHeap& blocks() {
  static BlockHeap& heap = *new BlockHeap;
  return heap;
}

// Memory of either kind.
void free_memory(void* memory) {
  if (blocks().owns(memory)) return blocks().free(memory);
  c10::GetDefaultCPUAllocator()->raw_deallocate(memory);
}

class TensorMemory : public at::Allocator {
 public:
  at::DataPtr allocate(size_t bytes) override {
    void* const memory =
        bytes < kLeastBlock ? c10::GetDefaultCPUAllocator()->raw_allocate(bytes) : blocks().allocate(bytes);
    TORCH_CHECK_WITH(OutOfMemoryError, memory != nullptr || bytes < kLeastBlock,
                     "there is no memory for a tensor of " + std::to_string(bytes) + " bytes");
    return {memory, memory, &free_memory, at::kCPU};
  }
  // LibTorch's scratch memory (GELU's, for one) is taken and freed without a DataPtr.
  at::DeleterFnPtr raw_deleter() const override { return &free_memory; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
};

}  // namespace

void keep_tensors_in_blocks() {
  static TensorMemory& memory = *new TensorMemory;
  c10::SetCPUAllocator(&memory, /*priority=*/1);
}

void give_back_tensor_memory() { blocks().give_back(); }

BlockHeap::Usage tensor_memory() { return blocks().usage(); }

}  // namespace ddro::ops
