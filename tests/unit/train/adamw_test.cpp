#include "ddro/train/adamw.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "ddro/base/error.h"

namespace ddro::train {
namespace {

// Two parameters, a matrix that decays and a vector that does not.
class TwoParameters : public models::CausalLm {
 public:
  explicit TwoParameters(at::ScalarType dtype) {
    at::manual_seed(3);
    for (const auto& [name, sizes] : std::vector<std::pair<std::string, std::vector<std::int64_t>>>{
             {"model.embed_tokens.weight", {31, 33}}, {"model.norm.weight", {33}}}) {
      const Tensor value = at::randn(sizes, at::kDouble);
      initial_.emplace_back(name, value.to(at::kFloat));
      parameters_.emplace_back(name, value.to(at::kFloat).to(dtype).set_requires_grad(true));
    }
  }
  Tensor hidden(const models::ModelInput&) const override { return {}; }
  const NamedTensors& parameters() const override { return parameters_; }
  Tensor head_weight() const override { return parameters_[0].second; }
  const std::string& head_weight_name() const override { return parameters_[0].first; }
  const models::ModelConfig& config() const override { return config_; }
  const NamedTensors& initial() const { return initial_; }

 private:
  NamedTensors parameters_;
  NamedTensors initial_;
  models::ModelConfig config_;
};

OptimizerOptions options() {
  OptimizerOptions options;
  options.weight_decay = 0.1;
  options.adam_beta1 = 0.9;
  options.adam_beta2 = 0.95;
  options.adam_epsilon = 1e-8;
  return options;
}

// Decoupled weight decay (Loshchilov & Hutter 2019), one number at a time.
struct ScalarAdamW {
  double weight, m = 0, v = 0;
  void step(double gradient, int t, double rate, double decay) {
    weight *= 1 - rate * decay;
    m = 0.9 * m + 0.1 * gradient;
    v = 0.95 * v + 0.05 * gradient * gradient;
    weight -= rate * (m / (1 - std::pow(0.9, t))) / (std::sqrt(v / (1 - std::pow(0.95, t))) + 1e-8);
  }
};

Tensor gradient_of_step(const Tensor& like, int step) {
  return at::sin(at::arange(like.numel(), at::kDouble) * 0.7 + step).reshape(like.sizes());
}

void expect_scalar_updates(at::ScalarType dtype, double tolerance) {
  TwoParameters model(dtype);
  AdamW optimizer(model, model.initial(), options());
  std::vector<std::vector<ScalarAdamW>> expected;
  for (const auto& [name, master] : optimizer.master_weights()) {
    expected.emplace_back();
    const Tensor flat = master.to(at::kDouble).flatten();
    for (std::int64_t i = 0; i < flat.numel(); ++i) expected.back().push_back({flat[i].item<double>()});
  }
  for (int t = 1; t <= 4; ++t) {
    optimizer.zero_gradients();
    size_t slot = 0;
    for (const auto& [name, master] : optimizer.master_weights()) {
      const Tensor gradient = gradient_of_step(master, t);
      optimizer.gradient(name).add_(gradient * 2);
      const Tensor flat = gradient.flatten();
      for (std::int64_t i = 0; i < flat.numel(); ++i) {
        expected[slot][static_cast<size_t>(i)].step(flat[i].item<double>(), t, 1e-2, slot == 0 ? 0.1 : 0.0);
      }
      ++slot;
    }
    optimizer.step(1e-2, /*gradient_scale=*/0.5);
  }
  size_t slot = 0;
  for (const auto& [name, master] : optimizer.master_weights()) {
    const Tensor flat = master.to(at::kDouble).flatten();
    for (std::int64_t i = 0; i < flat.numel(); ++i) {
      EXPECT_NEAR(flat[i].item<double>(), expected[slot][static_cast<size_t>(i)].weight, tolerance)
          << name << " " << i;
    }
    EXPECT_TRUE(at::equal(model.parameters()[slot].second.detach(), master.to(dtype)));
    ++slot;
  }
}

TEST(AdamW, FollowsTheScalarDefinitionInFloat64) { expect_scalar_updates(at::kDouble, 1e-12); }
TEST(AdamW, FollowsTheScalarDefinitionInFloat32) { expect_scalar_updates(at::kFloat, 2e-6); }

// Masters start from the folder's float32 values, not from their rounding to bfloat16.
TEST(AdamW, KeepsFloat32MastersBehindBfloat16Parameters) { expect_scalar_updates(at::kBFloat16, 2e-6); }

TEST(AdamW, AddsUpBfloat16GradientsOfSeveralBackwards) {
  TwoParameters model(at::kBFloat16);
  AdamW optimizer(model, model.initial(), options());
  optimizer.zero_gradients();
  for (int i = 0; i < 3; ++i) (model.parameters()[1].second * 0.5).sum().backward();
  EXPECT_TRUE(at::allclose(optimizer.gradient("model.norm.weight"), at::full({33}, 1.5)));
  EXPECT_NEAR(optimizer.gradient_norm(), std::sqrt(33 * 1.5 * 1.5), 1e-5);
}

TEST(AdamW, RestoredStateGoesOnWithTheSameBits) {
  TwoParameters one(at::kFloat);
  TwoParameters other(at::kFloat);
  AdamW straight(one, one.initial(), options());
  AdamW resumed(other, other.initial(), options());
  const auto run = [](AdamW& optimizer, int t) {
    optimizer.zero_gradients();
    for (const auto& [name, master] : optimizer.master_weights())
      optimizer.gradient(name).add_(gradient_of_step(master, t));
    optimizer.step(1e-2, 1.0);
  };
  run(straight, 1);
  run(straight, 2);
  resumed.load(straight.master_weights(), straight.state(), "test");
  run(straight, 3);
  run(resumed, 3);
  for (size_t i = 0; i < 2; ++i)
    EXPECT_TRUE(at::equal(straight.master_weights()[i].second, resumed.master_weights()[i].second));
}

TEST(AdamW, RefusesForeignState) {
  TwoParameters model(at::kFloat);
  AdamW optimizer(model, model.initial(), options());
  NamedTensors weights = optimizer.master_weights();
  NamedTensors state = optimizer.state();
  const auto expect_refused = [&](const char* what) {
    try {
      optimizer.load(weights, state, "checkpoint");
      FAIL() << what;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kModel) << what;
    }
  };
  state.pop_back();
  expect_refused("a missing tensor");
  state = optimizer.state();
  state[0].first = "exp_avg.other";
  expect_refused("another name");
  state = optimizer.state();
  weights[1].second = at::zeros({32});
  expect_refused("another shape");
  weights[1].second = at::zeros({33}, at::kDouble);
  expect_refused("another type");
}

TEST(AdamW, NamesTheFirstTensorThatIsNotFinite) {
  TwoParameters model(at::kFloat);
  AdamW optimizer(model, model.initial(), options());
  EXPECT_EQ(optimizer.first_non_finite(), "");
  {
    at::NoGradGuard no_grad;
    model.parameters()[1].second[7] = std::numeric_limits<float>::infinity();
  }
  EXPECT_EQ(optimizer.first_non_finite(), "model.norm.weight");
}

}  // namespace
}  // namespace ddro::train
