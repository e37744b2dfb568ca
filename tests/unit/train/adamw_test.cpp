#include "ddro/train/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>

#include <cmath>

#include "support/expect_error.h"
#include "unit/train/two_parameters.h"

namespace ddro::train {
namespace {

using test::Trained;
using test::TwoParameters;

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
  Trained trained(model, model.initial(), options());
  std::vector<std::vector<ScalarAdamW>> expected;
  for (const auto& [name, master] : trained.parameters.masters()) {
    expected.emplace_back();
    const Tensor flat = master.to(at::kDouble).flatten();
    for (std::int64_t i = 0; i < flat.numel(); ++i) expected.back().push_back({flat[i].item<double>()});
  }
  for (int t = 1; t <= 4; ++t) {
    trained.parameters.zero_gradients();
    size_t slot = 0;
    for (const auto& [name, master] : trained.parameters.masters()) {
      const Tensor gradient = gradient_of_step(master, t);
      trained.parameters.gradient(name).add_(gradient * 2);
      const Tensor flat = gradient.flatten();
      for (std::int64_t i = 0; i < flat.numel(); ++i) {
        expected[slot][static_cast<size_t>(i)].step(flat[i].item<double>(), t, 1e-2, slot == 0 ? 0.1 : 0.0);
      }
      ++slot;
    }
    trained.optimizer.step(1e-2, /*gradient_scale=*/0.5);
  }
  size_t slot = 0;
  for (const auto& [name, master] : trained.parameters.masters()) {
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

TEST(AdamW, RestoredStateGoesOnWithTheSameBits) {
  TwoParameters one(at::kFloat);
  TwoParameters other(at::kFloat);
  Trained straight(one, one.initial(), options());
  Trained resumed(other, other.initial(), options());
  const auto run = [](Trained& trained, int t) {
    trained.parameters.zero_gradients();
    for (const auto& [name, master] : trained.parameters.masters())
      trained.parameters.gradient(name).add_(gradient_of_step(master, t));
    trained.optimizer.step(1e-2, 1.0);
  };
  run(straight, 1);
  run(straight, 2);
  resumed.parameters.load_masters(straight.parameters.masters(), "test");
  resumed.optimizer.load(test::own_tensors(straight.optimizer.state()), "test");
  run(straight, 3);
  run(resumed, 3);
  for (size_t i = 0; i < 2; ++i)
    EXPECT_TRUE(at::equal(one.parameters()[i].second, other.parameters()[i].second));
}

TEST(AdamW, RefusesForeignState) {
  TwoParameters model(at::kFloat);
  Trained trained(model, model.initial(), options());
  NamedTensors state = test::own_tensors(trained.optimizer.state());
  const auto refusal = [&] {
    return test::message_of(ErrorKind::kModel, [&] { trained.optimizer.load(state, "checkpoint"); });
  };
  state.pop_back();
  EXPECT_THAT(refusal(), testing::HasSubstr("[checkpoint] tensor \"step\" is missing"));
  state = test::own_tensors(trained.optimizer.state());
  state[0].first = "exp_avg.other";
  EXPECT_THAT(refusal(), testing::HasSubstr("\"exp_avg.model.embed_tokens.weight\" is missing"));
}

// One parameter is left as it is: neither updated nor kept moments of.
TEST(AdamW, LeavesFrozenParametersAlone) {
  TwoParameters model(at::kFloat);
  Tensor(model.parameters()[0].second).set_requires_grad(false);
  Trained trained(model, model.initial(), options());
  trained.parameters.zero_gradients();
  trained.parameters.gradient("model.norm.weight").fill_(1);
  trained.optimizer.step(1e-2, 1.0);
  EXPECT_EQ(trained.optimizer.state().size(), 3u);
  EXPECT_TRUE(at::equal(model.parameters()[0].second, model.initial()[0].second));
  EXPECT_FALSE(at::equal(model.parameters()[1].second, model.initial()[1].second));
}

}  // namespace
}  // namespace ddro::train
