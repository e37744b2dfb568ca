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

void free_block(void* block) { blocks().free(block); }

class TensorMemory : public at::Allocator {
 public:
  at::DataPtr allocate(size_t bytes) override {
    if (bytes < kLeastBlock) return small_->allocate(bytes);
    void* const block = blocks().allocate(bytes);
    TORCH_CHECK_WITH(OutOfMemoryError, block != nullptr,
                     "there is no memory for a tensor of " + std::to_string(bytes) + " bytes");
    return {block, block, &free_block, at::kCPU};
  }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  at::Allocator* small_ = c10::GetDefaultCPUAllocator();
};

}  // namespace

void keep_tensors_in_blocks() {
  static TensorMemory& memory = *new TensorMemory;
  c10::SetCPUAllocator(&memory, /*priority=*/1);
}

void give_back_tensor_memory() { blocks().give_back(); }

BlockHeap::Usage tensor_memory() { return blocks().usage(); }

}  // namespace ddro::ops
