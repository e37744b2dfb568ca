// The gated activation's kernels, run by threads of the CPU, against the composed form.
#include "support/cuda_on_cpu.h"
// The file under test sees what the line above defines.
#include "ops/cuda/swiglu_kernel.cu"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "ops/cuda/float_type_of.h"
#include "ops/swiglu_device.h"
#include "unit/ops/cuda_on_cpu/guarded.h"
#include "unit/ops/cuda_on_cpu/rounding.h"

namespace ddro::ops {
namespace {

using test::Guarded;

Tensor forward(const Tensor& gate, const Tensor& up, std::array<std::int64_t, 3> offsets) {
  const Guarded gate_copy(gate, offsets[0]), up_copy(up, offsets[1]);
  const Guarded product(gate.sizes(), gate.scalar_type(), offsets[2]);
  EXPECT_EQ(cuda::launch_swiglu(cuda::float_type_of(gate), gate_copy.data(), up_copy.data(), product.data(),
                                gate.numel(), nullptr),
            cudaSuccess);
  product.expect_untouched_around();
  return product.inner();
}

SwiGluGradients backward(const Tensor& d_product, const Tensor& gate, const Tensor& up,
                         std::array<std::int64_t, 6> offsets) {
  const Guarded d_product_copy(d_product, offsets[0]), gate_copy(gate, offsets[1]), up_copy(up, offsets[2]);
  const Guarded product(gate.sizes(), gate.scalar_type(), offsets[3]);
  const Guarded d_gate(gate.sizes(), gate.scalar_type(), offsets[4]);
  const Guarded d_up(gate.sizes(), gate.scalar_type(), offsets[5]);
  EXPECT_EQ(cuda::launch_swiglu_backward(cuda::float_type_of(gate), d_product_copy.data(), gate_copy.data(),
                                         up_copy.data(), product.data(), d_gate.data(), d_up.data(),
                                         gate.numel(), nullptr),
            cudaSuccess);
  for (const Guarded* output : {&product, &d_gate, &d_up}) output->expect_untouched_around();
  return {product.inner(), d_gate.inner(), d_up.inner()};
}

class SwiGluKernel : public testing::TestWithParam<at::ScalarType> {};

// Around a pack of either size and around a block of them.
TEST_P(SwiGluKernel, RoundsLikeTheComposedForm) {
  at::manual_seed(4);
  for (const std::int64_t size : {0, 1, 7, 8, 9, 1025, 2049}) {
    SCOPED_TRACE(size);
    const auto random = [&] { return (3 * at::randn({size}, at::kDouble)).to(GetParam()); };
    const Tensor gate = random(), up = random(), d_product = random();
    const SwiGluGradients exact =
        cpu::swiglu_backward(d_product.to(at::kDouble), gate.to(at::kDouble), up.to(at::kDouble));
    const SwiGluGradients composed = cpu::swiglu_backward(d_product, gate, up);
    // Nine numbers: with every array at a 16-byte boundary, and with each in turn off it.
    for (size_t off = 0; off <= (size == 9 ? 6 : 0); ++off) {
      std::array<std::int64_t, 6> offsets{};
      if (off > 0) offsets[off - 1] = 1;
      const SwiGluGradients got = backward(d_product, gate, up, offsets);
      test::expect_rounded_like(got.product_TF, composed.product_TF, exact.product_TF);
      test::expect_rounded_like(got.d_gate_TF, composed.d_gate_TF, exact.d_gate_TF);
      test::expect_rounded_like(got.d_up_TF, composed.d_up_TF, exact.d_up_TF);
      // The forward's product has the same bits.
      EXPECT_TRUE(at::equal(forward(gate, up, {offsets[1], offsets[2], offsets[3]}), got.product_TF));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, SwiGluKernel,
                         testing::Values(at::kHalf, at::kBFloat16, at::kFloat, at::kDouble));

TEST(SwiGluKernelExtremes, FarFromZeroTheGateIsOpenOrShut) {
  const Tensor gate = at::tensor({-1e4F, -100.0F, -0.0F, 100.0F, 1e4F, NAN}), up = at::full({6}, 2.0F);
  const SwiGluGradients got = backward(at::full({6}, 3.0F), gate, up, {});
  const Tensor product = at::tensor({0.0F, 0.0F, 0.0F, 200.0F, 2e4F, NAN});
  const Tensor d_gate = at::tensor({0.0F, 0.0F, 3.0F, 6.0F, 6.0F, NAN});
  const Tensor d_up = at::tensor({0.0F, 0.0F, 0.0F, 300.0F, 3e4F, NAN});
  EXPECT_TRUE(at::allclose(got.product_TF, product, 1e-6, 1e-30, /*equal_nan=*/true)) << got.product_TF;
  EXPECT_TRUE(at::allclose(got.d_gate_TF, d_gate, 1e-6, 1e-30, /*equal_nan=*/true)) << got.d_gate_TF;
  EXPECT_TRUE(at::allclose(got.d_up_TF, d_up, 1e-6, 1e-30, /*equal_nan=*/true)) << got.d_up_TF;
}

}  // namespace
}  // namespace ddro::ops
