#include "ddro/ops/tensor_memory.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

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

TEST(TensorMemory, ATensorThatIsTooLargeIsRefused) {
  keep_tensors_in_blocks();
  EXPECT_THROW(at::empty({std::int64_t{1} << 45}, at::kFloat), c10::OutOfMemoryError);
}

}  // namespace
}  // namespace ddro::ops
