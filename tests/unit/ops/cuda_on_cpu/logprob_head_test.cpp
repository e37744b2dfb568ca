// The head's kernel, run by threads of the CPU, against the code for the CPU.
//
// Legend: C completion tokens, V vocabulary.
#include "support/cuda_on_cpu.h"
// The file under test sees what the line above defines.
#include "ops/cuda/logprob_head_kernel.cu"

#include <ATen/ATen.h>
#include <ATen/OpMathType.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "ops/cuda/float_type_of.h"
#include "ops/logprob_head_device.h"
#include "unit/ops/cuda_on_cpu/guarded.h"

namespace ddro::ops {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

enum class Residual { kNone, kBeside, kInPlace };

// What the kernel makes of a copy of logits_CV, float32 or float64, that begins `offset` elements behind a
// 16-byte boundary; so does the residual, of `type`.
struct KernelResult {
  Tensor logp_C, logits_CV, residual_CV;
};
KernelResult run_kernel(const Tensor& logits_CV, const Tensor& targets_C, at::ScalarType type,
                        Residual residual, std::int64_t offset, double softcap = 0) {
  const test::Guarded logits(logits_CV, offset);
  const test::Guarded beside(logits_CV.sizes(), type, offset);
  const test::Guarded logp({logits_CV.size(0)}, logits_CV.scalar_type());
  const test::Guarded& written = residual == Residual::kInPlace ? logits : beside;
  EXPECT_EQ(cuda::launch_target_logprobs(cuda::float_type_of(beside.inner()), logits.data(),
                                         targets_C.const_data_ptr<std::int64_t>(), logp.data(),
                                         residual == Residual::kNone ? nullptr : written.data(),
                                         logits_CV.size(0), logits_CV.size(1), softcap, nullptr),
            cudaSuccess);
  logits.expect_untouched_around();
  beside.expect_untouched_around();
  logp.expect_untouched_around();
  return {logp.inner(), logits.inner(), written.inner()};
}

void expect_like_cpu(const Tensor& logits_CV, const Tensor& targets_C, at::ScalarType type, Residual residual,
                     std::int64_t offset, double softcap = 0) {
  SCOPED_TRACE("offset " + std::to_string(offset) + ", residual " +
               std::to_string(static_cast<int>(residual)));
  // Sums in another order: a few units in the last place of what they are computed in, then one of the type.
  const double sum_tolerance = type == at::kDouble ? 1e-13 : 1e-5;
  const double type_tolerance = type == at::kBFloat16 ? 1.0 / 128
                                : type == at::kHalf   ? 1.0 / 1024
                                                      : sum_tolerance;
  const Tensor expected_CV = at::empty(logits_CV.sizes(), type);
  const Tensor expected_C = cpu::target_logprobs(logits_CV.clone(), targets_C, expected_CV, softcap);
  const KernelResult got = run_kernel(logits_CV, targets_C, type, residual, offset, softcap);
  EXPECT_TRUE(at::allclose(got.logp_C, expected_C, sum_tolerance, sum_tolerance, /*equal_nan=*/true))
      << got.logp_C << expected_C;
  if (residual != Residual::kInPlace) {
    EXPECT_TRUE(at::allclose(got.logits_CV, logits_CV, 0, 0, /*equal_nan=*/true)) << "logits were written";
  }
  if (residual != Residual::kNone) {
    EXPECT_TRUE(at::allclose(got.residual_CV.to(at::kDouble), expected_CV.to(at::kDouble), type_tolerance,
                             /*atol=*/sum_tolerance, /*equal_nan=*/true));
  }
}

// Of the residual.
class LogprobHeadKernel : public testing::TestWithParam<at::ScalarType> {
 protected:
  Tensor logits(const Tensor& values) const { return values.to(at::toOpMathType(GetParam())); }
  void expect_like_cpu(const Tensor& logits_CV, const Tensor& targets_C, Residual residual,
                       std::int64_t offset, double softcap = 0) const {
    ops::expect_like_cpu(logits_CV, targets_C, GetParam(), residual, offset, softcap);
  }
};

// Rows at every place between two 16-byte boundaries: one after the other where V elements are no whole
// number of 16 bytes, else from launch to launch.
TEST_P(LogprobHeadKernel, EqualsTheCpuAtEveryAlignment) {
  at::manual_seed(2);
  const auto places = static_cast<std::int64_t>(16 / at::elementSize(at::toOpMathType(GetParam())));
  for (const std::int64_t vocabulary : {1, 31, 32, 33, 511, 512, 513, 4097}) {
    SCOPED_TRACE("V " + std::to_string(vocabulary));
    const bool rows_shift = vocabulary % 2 == 1;
    const std::int64_t rows = rows_shift ? places : 1;
    const Tensor logits_CV = logits(4 * at::randn({rows, vocabulary}, at::kDouble));
    const Tensor targets_C = at::randint(vocabulary, {rows}, at::kLong);
    targets_C[rows - 1] = vocabulary - 1;
    for (std::int64_t offset = 0; offset < (rows_shift ? 1 : places); ++offset) {
      expect_like_cpu(logits_CV, targets_C, Residual::kBeside, offset);
      if (logits_CV.scalar_type() == GetParam())
        expect_like_cpu(logits_CV, targets_C, Residual::kInPlace, offset);
    }
    expect_like_cpu(logits_CV.narrow(0, 0, 1), targets_C.narrow(0, 0, 1), Residual::kNone, places - 1);
  }
}

TEST_P(LogprobHeadKernel, EqualsTheCpuWithASoftCap) {
  at::manual_seed(3);
  for (const std::int64_t vocabulary : {1, 31, 513}) {
    const Tensor logits_CV = logits(20 * at::randn({3, vocabulary}, at::kDouble));
    const Tensor targets_C = at::randint(vocabulary, {3}, at::kLong);
    expect_like_cpu(logits_CV, targets_C, Residual::kBeside, 0, /*softcap=*/30);
    expect_like_cpu(logits_CV, targets_C, Residual::kNone, 1, /*softcap=*/5);
  }
}

TEST_P(LogprobHeadKernel, EqualsTheCpuAtExtremes) {
  const double largest = 1e30;
  constexpr std::int64_t kVocabulary = 33;
  const Tensor logits_CV = at::randn({8, kVocabulary}, at::kDouble);
  logits_CV[0][32] = largest;              // the target has all of it
  logits_CV[1][3] = largest;               // the target has nothing of it
  logits_CV.select(0, 2).fill_(-largest);  // equal shares, far below 0
  logits_CV[3][5] = -kInfinity;            // impossible
  logits_CV[4][32] = -kInfinity;           // an impossible target
  logits_CV[5][0] = kInfinity;             // no distribution
  logits_CV[6][20] = kNan;
  logits_CV.select(0, 7).fill_(-kInfinity);
  const Tensor targets_C = at::full({8}, 32, at::kLong);
  expect_like_cpu(logits(logits_CV), targets_C, Residual::kBeside, 0);
  const Tensor logp_C =
      run_kernel(logits(logits_CV), targets_C, GetParam(), Residual::kNone, 0).logp_C.to(at::kDouble);
  EXPECT_EQ(logp_C[0].item<double>(), 0);
  EXPECT_NEAR(logp_C[1].item<double>() / -largest, 1, 0.01);
  EXPECT_NEAR(logp_C[2].item<double>(), -std::log(33.0), 1e-5);
  EXPECT_EQ(logp_C[4].item<double>(), -kInfinity);
  for (const std::int64_t bad : {5, 6, 7}) EXPECT_FALSE(std::isfinite(logp_C[bad].item<double>())) << bad;
}

INSTANTIATE_TEST_SUITE_P(Dtypes, LogprobHeadKernel,
                         testing::Values(at::kHalf, at::kBFloat16, at::kFloat, at::kDouble));

TEST(LogprobHeadKernelEdges, NoTokensIsNoLaunch) {
  expect_like_cpu(at::zeros({0, 5}), at::zeros({0}, at::kLong), at::kFloat, Residual::kBeside, 0);
}

TEST(LogprobHeadKernelEdges, MoreTokensThanAGridHoldsAreAnError) {
  EXPECT_EQ(cuda::launch_target_logprobs(cuda::FloatType::kFloat32, nullptr, nullptr, nullptr, nullptr,
                                         std::int64_t{1} << 31, 1, 0, nullptr),
            cudaErrorInvalidConfiguration);
}

}  // namespace
}  // namespace ddro::ops
