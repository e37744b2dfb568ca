#include "ddro/ops/tensor_memory.h"

#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <vector>

#include "ddro/base/tensor.h"

namespace ddro::ops {
namespace {

std::int64_t numbers_of_bytes(size_t bytes) { return static_cast<std::int64_t>(bytes / sizeof(float)); }

TEST(TensorMemory, LargeTensorsAreBlocks) {
  keep_tensors_in_blocks();
  const size_t before = tensor_memory().in_use;
  const auto added = [&] { return tensor_memory().in_use - before; };
  {
    const Tensor small = at::ones({numbers_of_bytes(kLeastBlock) - 1});
    EXPECT_EQ(added(), 0u);
    const Tensor large = at::full({numbers_of_bytes(4 * kLeastBlock)}, 3, at::kFloat);
    EXPECT_EQ(added(), 4 * kLeastBlock);
    Tensor copy = large.clone();
    EXPECT_EQ(added(), 8 * kLeastBlock);
    copy.resize_({numbers_of_bytes(6 * kLeastBlock)});
    EXPECT_EQ(added(), 10 * kLeastBlock);
    EXPECT_TRUE(at::equal(copy.narrow(0, 0, large.numel()), large));
  }
  EXPECT_EQ(added(), 0u);
}

// LibTorch frees what it has taken by the allocator's address alone.
TEST(TensorMemory, IsFreedByItsAddress) {
  keep_tensors_in_blocks();
  at::Allocator& memory = *c10::GetCPUAllocator();
  const size_t before = tensor_memory().in_use;
  for (const size_t bytes :
       {size_t{0}, size_t{1}, size_t{5000}, kLeastBlock - 1, kLeastBlock, 3 * kLeastBlock}) {
    std::vector<void*> many;
    for (int i = 0; i < 70; ++i) many.push_back(memory.raw_allocate(bytes));  // some on a page's beginning
    for (void* const each : many) memory.raw_deallocate(each);
    EXPECT_EQ(tensor_memory().in_use, before) << bytes;
    EXPECT_EQ(memory.allocate(bytes).get_deleter(), memory.raw_deleter()) << bytes;
  }
}

TEST(TensorMemory, ServesOperationsThatTakeScratchMemory) {
  keep_tensors_in_blocks();
  for (const std::int64_t size : {std::int64_t{10}, numbers_of_bytes(2 * kLeastBlock)}) {
    const Tensor x = at::linspace(-4, 4, size, at::kFloat);
    EXPECT_TRUE(at::allclose(at::gelu(x), at::gelu(x.to(at::kDouble)).to(at::kFloat), 1e-5, 1e-5)) << size;
  }
}

TEST(TensorMemory, ATensorThatIsTooLargeIsRefused) {
  keep_tensors_in_blocks();
  EXPECT_THROW(at::empty({std::int64_t{1} << 45}, at::kFloat), c10::OutOfMemoryError);
}

}  // namespace
}  // namespace ddro::ops
