// How wrong a fused kernel may be.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

namespace ddro::test {

inline double relative_error(const at::Tensor& got, const at::Tensor& exact) {
  const double norm = exact.norm().item<double>();
  return (got.to(at::kDouble) - exact).norm().item<double>() / (norm > 0 ? norm : 1);
}

// `got` is at most twice as far from `exact` (float64) as `composed`, which has its dtype; a few numbers may
// be lucky, so they get one unit in the last place more. float64 itself: equal to a few units.
inline void expect_rounded_like(const at::Tensor& got, const at::Tensor& composed, const at::Tensor& exact) {
  double allowed = 8 * std::numeric_limits<double>::epsilon();
  if (composed.scalar_type() != at::kDouble) {
    allowed = 2 * relative_error(composed, exact);
    if (exact.numel() < 256) {
      allowed += composed.scalar_type() == at::kBFloat16 ? 0x1p-8
                 : composed.scalar_type() == at::kHalf   ? 0x1p-11
                                                         : 0x1p-24;
    }
  }
  EXPECT_EQ(got.scalar_type(), composed.scalar_type());
  EXPECT_LE(relative_error(got, exact), allowed);
}

}  // namespace ddro::test
