// Optimizers beside AdamW (adamw_test.cpp), and what all have in common.
#include "ddro/train/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>

#include "ddro/base/json.h"
#include "ddro/train/memory_estimate.h"
#include "support/expect_error.h"
#include "support/fixtures.h"
#include "support/tiny_model.h"
#include "train/update_rule.h"
#include "unit/train/two_parameters.h"

namespace ddro::train {
namespace {

using models::ParameterRole;
using test::Trained;
using test::TwoParameters;

OptimizerOptions options_of(const Json& entry) {
  OptimizerOptions options;
  options.optim = parse_enum<Optim>("optim", entry["optim"].get<std::string>());
  const Json& kwargs = entry["kwargs"];
  if (kwargs.contains("momentum")) options.momentum = kwargs["momentum"].get<double>();
  if (kwargs.contains("nesterov")) options.nesterov = kwargs["nesterov"].get<bool>();
  if (kwargs.contains("adjust_lr_fn"))
    options.adjust_lr_fn = parse_enum<AdjustLr>("adjust_lr_fn", kwargs["adjust_lr_fn"].get<std::string>());
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

// A layer's wide and its tall matrix, embedding, head, and a norm.
class FiveParameters : public test::BareModel {
 public:
  FiveParameters() : BareModel(test::tiny_spec(/*tied=*/false), shapes(), at::kDouble) {}

 private:
  static std::vector<models::ParameterSpec> shapes() {
    std::vector<models::ParameterSpec> some;
    for (models::ParameterSpec& each : models::parameters_of(test::tiny_spec(/*tied=*/false))) {
      if (each.name.find("layers") == std::string::npos ||
          each.name.ends_with("layers.0.mlp.up_proj.weight") ||
          each.name.ends_with("layers.0.mlp.down_proj.weight"))
        some.push_back(std::move(each));
    }
    return some;
  }
};

// Recorded from torch.optim, transformers' Adafactor, and Lion's algorithm in numpy.
TEST(Optimizer, MakesTheRecordedUpdates) {
  const Json recorded = read_json_file(test::fixture("optimizers/updates.json").string(), ErrorKind::kInput);
  ASSERT_EQ(recorded["cases"].size(), 12u);
  for (const Json& entry : recorded["cases"]) {
    FiveParameters model;
    ASSERT_EQ(model.parameters().size(), recorded["weights"].size());
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
        EXPECT_LT((weight - expected).abs().max().item<double>(), 1e-13)
            << entry["optim"] << entry["kwargs"] << name;
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
                                         Kept{Optim::kAdafactor, 0, MomentDType::kFloat32},
                                         Kept{Optim::kMuon, 0.9, MomentDType::kFloat32}));

// A stack of matrices moves as each of them alone would.
TEST(Muon, TakesStackedMatricesApart) {
  OptimizerOptions options;
  options.optim = Optim::kMuon;
  const Tensor matrices = at::randn({3, 6, 10}, at::kDouble);
  const UpdateRules rules = make_update_rules(options);
  const auto updated = [&](const Tensor& weights, const Tensor& gradients) {
    const UpdateBatch batch{.weights = {weights.clone()},
                            .gradients = {gradients.clone()},
                            .moments = {{at::zeros_like(weights)}},
                            .learning_rate = 0.1};
    rules.matrices.apply(batch);
    return batch.weights.front();
  };
  const Tensor stack = at::randn({3, 6, 10}, at::kDouble), after = updated(stack, matrices);
  for (std::int64_t i = 0; i < 3; ++i) EXPECT_TRUE(at::equal(after[i], updated(stack[i], matrices[i])));
  EXPECT_FALSE(at::equal(after, stack));
}

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
  const auto kept = [](Optim optim, double momentum, at::IntArrayRef sizes,
                       ParameterRole role = ParameterRole::kMatrix) {
    OptimizerOptions options;
    options.optim = optim;
    options.momentum = momentum;
    return num_moment_numbers(options, role, sizes);
  };
  EXPECT_EQ(kept(Optim::kAdamW, 0, {30, 20}), 1200);
  EXPECT_EQ(kept(Optim::kLion, 0, {30, 20}), 600);
  EXPECT_EQ(kept(Optim::kSgd, 0.9, {30, 20}), 600);
  EXPECT_EQ(kept(Optim::kSgd, 0, {30, 20}), 0);
  EXPECT_EQ(kept(Optim::kAdafactor, 0, {30, 20}), 50);
  EXPECT_EQ(kept(Optim::kAdafactor, 0, {8, 30, 20}), 8 * 50);
  EXPECT_EQ(kept(Optim::kAdafactor, 0, {30}, ParameterRole::kVector), 30);
  EXPECT_EQ(kept(Optim::kMuon, 0.9, {30, 20}), 600);
  EXPECT_EQ(kept(Optim::kMuon, 0.9, {30, 20}, ParameterRole::kEmbedding), 1200);
  EXPECT_EQ(weight_bytes(1'000'000, at::kFloat, MomentDType::kFloat32, false, {}, 1), 12e6);
  EXPECT_EQ(checkpoint_bytes(1'000'000, at::kBFloat16, MomentDType::kFloat8, 0), 4e6);
}

}  // namespace
}  // namespace ddro::train
