// The CPU's forms, of float32 and of bfloat16, against the composed ones: no result is further from that in
// float64 than twice what the composed form is, or two units in the last place.
#include "ops/cpu/float_rows.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "ddro/ops/rotary.h"
#include "ops/logprob_head_device.h"
#include "ops/rms_norm_device.h"
#include "ops/rotary_device.h"
#include "ops/swiglu_device.h"

namespace ddro::ops {
namespace {

constexpr std::int64_t kSizes[] = {1, 15, 16, 17, 576};

constexpr at::ScalarType kTypes[] = {at::kFloat, at::kBFloat16};

Tensor random(at::IntArrayRef shape, at::ScalarType dtype = at::kFloat) {
  return at::randn(shape, at::TensorOptions(at::kFloat)).to(dtype);
}
Tensor wide(const Tensor& x) { return x.defined() ? x.to(at::kDouble) : x; }

void expect_rounds_alike(const Tensor& got, const Tensor& composed, const Tensor& exact) {
  ASSERT_EQ(got.sizes(), exact.sizes());
  ASSERT_EQ(got.scalar_type(), composed.scalar_type());
  const double units = got.scalar_type() == at::kBFloat16 ? 0x1p-8 : 0x1p-22;
  EXPECT_LE((wide(got) - exact).norm().item<double>(),
            2 * (wide(composed) - exact).norm().item<double>() + units * exact.norm().item<double>());
}

TEST(FloatRows, ExponentialIsThatOfTheStandardLibrary) {
  std::vector<float> x, e;
  for (double value = -86.9; value < 80; value += 0.0137) x.push_back(static_cast<float>(value));
  x.push_back(87.9f);
  e.resize(x.size());
  const float sum = cpu::exp_row(x.data(), 0, static_cast<std::int64_t>(x.size()), e.data());
  double expected_sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double expected = std::exp(static_cast<double>(x[i]));
    EXPECT_NEAR(e[i], expected, 2e-7 * expected) << x[i];
    expected_sum += expected;
  }
  EXPECT_NEAR(sum, expected_sum, 1e-6 * expected_sum);
}

// Of a vocabulary's logits, most of whose exponentials are nothing beside the largest one, and all of them
// together are something.
TEST(FloatRows, SumOfManySmallOnesBesideALargeOne) {
  std::vector<float> x(200'000), e(x.size());
  for (const float small : {-14.0f, -16.0f, -18.0f}) {
    for (const size_t place : {size_t{0}, size_t{100'003}, x.size() - 1}) {
      double expected = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        x[i] = i == place ? 0.0f : small + static_cast<float>(i % 7) / 7;
        expected += std::exp(static_cast<double>(x[i]));
      }
      EXPECT_NEAR(cpu::exp_row(x.data(), 0, static_cast<std::int64_t>(x.size()), e.data()), expected,
                  4e-6 * expected)
          << small << " beside the one at " << place;
    }
  }
}

TEST(FloatRows, ExponentialOfWhatHasNone) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float x[] = {-kInfinity, -88, std::numeric_limits<float>::quiet_NaN(), 0};
  float e[4];
  cpu::exp_row(x, 0, 4, e);
  EXPECT_EQ(e[0], 0);
  EXPECT_EQ(e[1], 0);
  EXPECT_TRUE(std::isnan(e[2]));
  EXPECT_EQ(e[3], 1);
}

TEST(FloatRows, LargestIsAnywhere) {
  for (const std::int64_t size : {1, 15, 16, 17, 40}) {
    for (std::int64_t place = 0; place < size; ++place) {
      std::vector<float> x(static_cast<size_t>(size), -2);
      x[static_cast<size_t>(place)] = -1;
      EXPECT_EQ(cpu::largest_of_row(x.data(), size), -1) << place << " of " << size;
    }
  }
}

class RowsRmsNorm : public testing::TestWithParam<std::tuple<at::ScalarType, std::int64_t>> {};

TEST_P(RowsRmsNorm, RoundsLikeTheComposedForm) {
  at::manual_seed(12);
  const auto [dtype, width] = GetParam();
  for (const std::int64_t rows : {0, 1, 31, 33, 200}) {
    for (const bool adds : {false, true}) {
      SCOPED_TRACE(std::to_string(rows) + " rows of " + std::to_string(width));
      const Tensor x = random({rows, width}, dtype), weight = random({width}, dtype),
                   d_y = random({rows, width}, dtype);
      const Tensor addend = adds ? random({rows, width}, dtype) : Tensor(),
                   d_sum = adds ? random({rows, width}, dtype) : Tensor();
      const auto got = cpu::rms_norm(x, addend, weight, 1e-5);
      const auto composed = cpu::composed_rms_norm(x, addend, weight, 1e-5);
      const auto exact = cpu::composed_rms_norm(wide(x), wide(addend), wide(weight), 1e-5);
      expect_rounds_alike(got.sum, composed.sum, exact.sum);
      expect_rounds_alike(got.y, composed.y, exact.y);
      expect_rounds_alike(got.scale, composed.scale, exact.scale);
      const auto back = cpu::rms_norm_backward(d_y, got.sum, weight, got.scale, d_sum, true);
      const auto composed_back =
          cpu::composed_rms_norm_backward(d_y, composed.sum, weight, composed.scale, d_sum, true);
      const auto exact_back =
          cpu::composed_rms_norm_backward(wide(d_y), exact.sum, wide(weight), exact.scale, wide(d_sum), true);
      expect_rounds_alike(back.d_x, composed_back.d_x, exact_back.d_x);
      expect_rounds_alike(back.d_weight, composed_back.d_weight, exact_back.d_weight);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Widths, RowsRmsNorm,
                         testing::Combine(testing::ValuesIn(kTypes), testing::ValuesIn(kSizes)));

class Rows : public testing::TestWithParam<at::ScalarType> {};

INSTANTIATE_TEST_SUITE_P(Types, Rows, testing::ValuesIn(kTypes),
                         [](const auto& entry) { return std::string(c10::toString(entry.param)); });

TEST_P(Rows, OfSwiGluRoundLikeTheComposedForm) {
  at::manual_seed(13);
  for (const std::int64_t width : kSizes) {
    SCOPED_TRACE(width);
    const Tensor gate = 5 * random({70, width}, GetParam()), up = random({70, width}, GetParam()),
                 d_product = random({70, width}, GetParam());
    const Tensor exact = cpu::composed_swiglu(wide(gate), wide(up));
    expect_rounds_alike(cpu::swiglu(gate, up), cpu::composed_swiglu(gate, up), exact);
    const auto got = cpu::swiglu_backward(d_product, gate, up);
    const auto composed = cpu::composed_swiglu_backward(d_product, gate, up);
    const auto exact_back = cpu::composed_swiglu_backward(wide(d_product), wide(gate), wide(up));
    expect_rounds_alike(got.product_TF, composed.product_TF, exact_back.product_TF);
    expect_rounds_alike(got.d_gate_TF, composed.d_gate_TF, exact_back.d_gate_TF);
    expect_rounds_alike(got.d_up_TF, composed.d_up_TF, exact_back.d_up_TF);
  }
}

TEST_P(Rows, OfRotaryRoundLikeTheComposedForm) {
  at::manual_seed(14);
  for (const std::int64_t half : kSizes) {
    SCOPED_TRACE(half);
    const Tensor angle = random({9, 1, half}, GetParam()).repeat({1, 1, 2}), cos = angle.cos(),
                 sin = angle.sin();
    const Tensor x = random({9, 3, 2 * half}, GetParam());
    expect_rounds_alike(cpu::rotary(x, cos, sin, /*inverse=*/false), composed_rotary(x, cos, sin),
                        composed_rotary(wide(x), wide(cos), wide(sin)));
    expect_rounds_alike(cpu::rotary(x, cos, sin, /*inverse=*/true), composed_rotary(x, cos, -sin),
                        composed_rotary(wide(x), wide(cos), -wide(sin)));
    // Every second head.
    const Tensor strided = random({9, 6, 2 * half}, GetParam()).slice(1, 0, std::nullopt, 2);
    EXPECT_TRUE(
        at::equal(cpu::rotary(strided, cos, sin, false), cpu::rotary(strided.contiguous(), cos, sin, false)));
  }
}

TEST_P(Rows, OfLogitsHaveResidualsRoundedLikeTheComposedForms) {
  at::manual_seed(16);
  const Tensor logits = 10 * random({20, 1000}), targets = at::randint(1000, {20}, at::kLong);
  const Tensor exact = wide(logits), exact_residual = at::empty_like(exact);
  cpu::composed_target_logprobs(exact, targets, exact_residual);
  const Tensor residual = at::empty({20, 1000}, GetParam()), composed_residual = at::empty_like(residual);
  const Tensor composed_logp = cpu::composed_target_logprobs(logits.clone(), targets, composed_residual);
  expect_rounds_alike(cpu::target_logprobs(logits.clone(), targets, residual), composed_logp,
                      cpu::composed_target_logprobs(wide(logits), targets, Tensor()));
  expect_rounds_alike(residual, composed_residual, exact_residual);
}

TEST(FloatTargetLogprobs, RoundsLikeTheComposedForm) {
  at::manual_seed(15);
  for (const std::int64_t vocabulary : {1, 16, 1000}) {
    SCOPED_TRACE(vocabulary);
    const Tensor logits = 10 * random({20, vocabulary});
    const Tensor targets = at::randint(vocabulary, {20}, at::kLong);
    const Tensor exact = wide(logits), exact_residual = at::empty_like(exact);
    const Tensor composed = logits.clone(), composed_residual = at::empty_like(logits);
    const Tensor exact_logp = cpu::composed_target_logprobs(exact, targets, exact_residual);
    const Tensor composed_logp = cpu::composed_target_logprobs(composed, targets, composed_residual);
    const Tensor residual = at::empty_like(logits), in_place = logits.clone();
    expect_rounds_alike(cpu::target_logprobs(logits.clone(), targets, residual), composed_logp, exact_logp);
    expect_rounds_alike(residual, composed_residual, exact_residual);
    const Tensor logp = cpu::target_logprobs(in_place, targets, in_place);
    EXPECT_TRUE(at::equal(in_place, residual));
    EXPECT_TRUE(at::equal(logp, cpu::target_logprobs(logits.clone(), targets, Tensor())));
  }
}

}  // namespace
}  // namespace ddro::ops
