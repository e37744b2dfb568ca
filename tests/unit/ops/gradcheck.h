// Gradients against central differences, in float64.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace ddro::test {

// `inputs`: float64 leaves that require grad. Compares d sum(f(inputs) * probe) with central differences for
// each element.
inline void expect_gradients(const std::function<at::Tensor(const std::vector<at::Tensor>&)>& f,
                             std::vector<at::Tensor> inputs, double tolerance = 1e-7) {
  const auto probe = [](const at::Tensor& y) {
    return (y * at::arange(1, y.numel() + 1, y.options()).mul_(0.7).sin_().view(y.sizes())).sum();
  };
  probe(f(inputs)).backward();
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < inputs.size(); ++i) {
    ASSERT_TRUE(inputs[i].grad().defined()) << "input " << i;
    const at::Tensor gradient = inputs[i].grad().contiguous();
    double* values = inputs[i].data_ptr<double>();
    for (int64_t j = 0; j < inputs[i].numel(); ++j) {
      constexpr double kStep = 1e-5;
      const double kept = values[j];
      values[j] = kept + kStep;
      const double above = probe(f(inputs)).item<double>();
      values[j] = kept - kStep;
      const double below = probe(f(inputs)).item<double>();
      values[j] = kept;
      const double expected = (above - below) / (2 * kStep);
      ASSERT_NEAR(gradient.data_ptr<double>()[j], expected, tolerance * (1 + std::abs(expected)))
          << "input " << i << ", element " << j;
    }
  }
}

}  // namespace ddro::test
