// Optimizers beside AdamW (adamw_test.cpp), and what all have in common.
#include "ddro/train/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>

#include "ddro/base/json.h"
#include "ddro/train/memory_estimate.h"
#include "support/expect_error.h"
#include "support/fixtures.h"
#include "unit/train/two_parameters.h"

namespace ddro::train {
namespace {

using test::Trained;
using test::TwoParameters;

OptimizerOptions options_of(const Json& entry) {
  OptimizerOptions options;
  options.optim = parse_enum<Optim>("optim", entry["optim"].get<std::string>());
  const Json& kwargs = entry["kwargs"];
  options.momentum = kwargs.value("momentum", options.momentum);
  options.nesterov = kwargs.value("nesterov", options.nesterov);
  options.adam_beta1 = kwargs.value("adam_beta1", options.adam_beta1);
  options.adam_beta2 = kwargs.value("adam_beta2", options.adam_beta2);
  options.weight_decay = kwargs.value("weight_decay", options.weight_decay);
  return options;
}

Tensor tensor_of(const Json& numbers, at::IntArrayRef sizes) {
  return at::tensor(numbers.get<std::vector<double>>(), at::kDouble).view(sizes);
}

NamedTensors tensors_of(const Json& recorded, const NamedTensors& like) {
  NamedTensors tensors;
  for (const auto& [name, tensor] : like)
    tensors.emplace_back(name, tensor_of(recorded[name], tensor.sizes()));
  return tensors;
}

// Recorded from torch.optim.SGD, transformers' Adafactor, and Lion's algorithm in numpy.
TEST(Optimizer, MakesTheRecordedUpdates) {
  const Json recorded = read_json_file(test::fixture("optimizers/updates.json").string(), ErrorKind::kInput);
  ASSERT_EQ(recorded["cases"].size(), 9u);
  for (const Json& entry : recorded["cases"]) {
    TwoParameters model(at::kDouble);
    Trained trained(model, model.initial(), options_of(entry));
    trained.parameters.load_masters(tensors_of(recorded["weights"], model.parameters()), "fixture");
    for (size_t i = 0; i < recorded["rates"].size(); ++i) {
      trained.parameters.zero_gradients();
      for (const auto& [name, gradient] : tensors_of(recorded["gradients"][i], model.parameters()))
        trained.parameters.gradient(name).add_(gradient * 2);
      trained.optimizer.step(recorded["rates"][i], /*gradient_scale=*/0.5);
    }
    for (const auto& [name, expected] : tensors_of(entry["after"], model.parameters())) {
      for (const auto& [own, weight] : model.parameters()) {
        if (own != name) continue;
        EXPECT_LT((weight - expected).abs().max().item<double>(), 1e-13) << entry["kwargs"];
      }
    }
  }
}

struct Kept {
  Optim optim;
  double momentum;
  MomentDType form;
};

class OptimizerState : public testing::TestWithParam<Kept> {};

// A restart changes no bit, whatever the moments are kept in.
TEST_P(OptimizerState, RestoredGoesOnWithTheSameBits) {
  OptimizerOptions options;
  options.optim = GetParam().optim;
  options.momentum = GetParam().momentum;
  options.moment_dtype = GetParam().form;
  options.weight_decay = 0.1;
  TwoParameters one, other;
  Trained straight(one, one.initial(), options), resumed(other, other.initial(), options);
  const auto update = [](Trained& trained, int t) {
    trained.parameters.zero_gradients();
    for (const auto& [name, master] : trained.parameters.masters())
      trained.parameters.gradient(name).add_(
          at::sin(at::arange(master.numel(), at::kDouble) * 0.7 + t).reshape(master.sizes()));
    trained.optimizer.step(1e-2, 1.0);
  };
  update(straight, 1);
  update(straight, 2);
  resumed.parameters.load_masters(straight.parameters.masters(), "test");
  const NamedTensors state = test::own_tensors(straight.optimizer.state());
  resumed.optimizer.load(state, "test");
  update(straight, 3);
  update(resumed, 3);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(at::equal(one.parameters()[i].second, other.parameters()[i].second));
    EXPECT_FALSE(at::equal(one.parameters()[i].second, one.initial()[i].second));
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, OptimizerState,
                         testing::Values(Kept{Optim::kSgd, 0, MomentDType::kFloat32},
                                         Kept{Optim::kSgd, 0, MomentDType::kFloat8},
                                         Kept{Optim::kSgd, 0.9, MomentDType::kFloat32},
                                         Kept{Optim::kSgd, 0.9, MomentDType::kBFloat16},
                                         Kept{Optim::kLion, 0, MomentDType::kFloat32},
                                         Kept{Optim::kLion, 0, MomentDType::kFloat8},
                                         Kept{Optim::kAdafactor, 0, MomentDType::kFloat32}));

TEST(Optimizer, RefusesTheStateOfAnother) {
  TwoParameters model;
  OptimizerOptions lion, adamw;
  lion.optim = Optim::kLion;
  Trained first(model, model.initial(), adamw), second(model, model.initial(), lion);
  const NamedTensors state = test::own_tensors(first.optimizer.state());
  EXPECT_THAT(test::message_of(ErrorKind::kModel, [&] { second.optimizer.load(state, "checkpoint"); }),
              testing::HasSubstr("[checkpoint] holds more tensors than the model has"));
}

TEST(Optimizer, TakesTheMemoryOfItsMoments) {
  const auto kept = [](Optim optim, double momentum, at::IntArrayRef sizes) {
    OptimizerOptions options;
    options.optim = optim;
    options.momentum = momentum;
    return num_moment_numbers(options, sizes);
  };
  EXPECT_EQ(kept(Optim::kAdamW, 0, {30, 20}), 1200);
  EXPECT_EQ(kept(Optim::kLion, 0, {30, 20}), 600);
  EXPECT_EQ(kept(Optim::kSgd, 0.9, {30, 20}), 600);
  EXPECT_EQ(kept(Optim::kSgd, 0, {30, 20}), 0);
  EXPECT_EQ(kept(Optim::kAdafactor, 0, {30, 20}), 50);
  EXPECT_EQ(kept(Optim::kAdafactor, 0, {8, 30, 20}), 8 * 50);
  EXPECT_EQ(kept(Optim::kAdafactor, 0, {30}), 30);
  EXPECT_EQ(weight_bytes(1'000'000, at::kFloat, MomentDType::kFloat32, false, {}, 1), 12e6);
  EXPECT_EQ(checkpoint_bytes(1'000'000, at::kBFloat16, MomentDType::kFloat8, 0), 4e6);
}

}  // namespace
}  // namespace ddro::train
