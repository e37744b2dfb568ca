// The sums of rows, run by threads of the CPU, against the code for the CPU.
#include "support/cuda_on_cpu.h"
// The file under test sees what the line above defines.
#include "ops/cuda/gather_rows_kernel.cu"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

#include "ops/cuda/float_type_of.h"
#include "ops/gather_rows_device.h"
#include "unit/ops/cuda_on_cpu/guarded.h"

namespace ddro::ops {
namespace {

// Row 0 is read by nobody, row 2 by four.
const std::vector<std::int64_t> kRows = {2, 1, 2, 3, 2, 4, 4, 2};
constexpr std::int64_t kNumRows = 5;

Tensor run_kernel(const Tensor& rows, const RowGather& gather, std::int64_t offset) {
  const test::Guarded in(rows, offset), out({kNumRows, rows.size(1)}, rows.scalar_type(), offset);
  EXPECT_EQ(cuda::launch_sum_rows(cuda::float_type_of(rows), in.data(),
                                  gather.places_J.const_data_ptr<std::int64_t>(),
                                  gather.offsets_T1.const_data_ptr<std::int64_t>(), out.data(), kNumRows,
                                  rows.size(1), nullptr),
            cudaSuccess);
  out.expect_untouched_around();
  return out.inner();
}

class SumRowsKernel : public testing::TestWithParam<at::ScalarType> {};

// The sums are in one order, so that both give the same bits.
TEST_P(SumRowsKernel, GivesTheBitsOfTheCpu) {
  at::manual_seed(4);
  const RowGather gather = make_row_gather(kRows, kNumRows, at::kCPU);
  for (const std::int64_t width : {1, 7, 16, 64, 300}) {
    const Tensor rows =
        at::randn({static_cast<std::int64_t>(kRows.size()), width}, at::kDouble).to(GetParam());
    const Tensor expected = cpu::sum_rows(rows, gather);
    for (const std::int64_t offset : {0, 1}) {
      EXPECT_TRUE(at::equal(run_kernel(rows, gather, offset), expected)) << width << ", " << offset;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, SumRowsKernel,
                         testing::Values(at::kHalf, at::kBFloat16, at::kFloat, at::kDouble));

}  // namespace
}  // namespace ddro::ops
