// One optimizer step of every family against torch's AdamW on transformers' model.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "ddro/models/weight_units.h"
#include "ddro/train/optimizer.h"
#include "ddro/train/parameters.h"
#include "parity/models/fixture_models.h"

namespace ddro::test {
namespace {

class FamilyStep : public testing::TestWithParam<std::string> {};

TEST_P(FamilyStep, EqualsTransformersInFloat64) {
  const Expected expected = read_expected(GetParam());
  const models::ModelFolder folder = models::open_model_folder(model_fixture(GetParam()));
  const auto model = models::make_causal_lm(folder.spec, folder.tensors, {.dtype = at::kDouble});
  train::Parameters parameters(*model, folder.tensors);
  train::Optimizer optimizer(parameters, {});
  parameters.zero_gradients();
  for (size_t i = 0; i < expected.sequences.size(); ++i) {
    Packed batch;
    batch.add_whole(expected.sequences[i]);
    probe_loss(logits_of(*model, batch)[0], static_cast<std::int64_t>(i)).backward();
  }
  optimizer.step(1e-3, 1);
  for (const auto& [name, parameter] : model->parameters()) {
    const Tensor difference = parameter.detach() - expected.values.at("float64.step." + name);
    EXPECT_LE(difference.abs().max().item<double>(), 1e-8) << name;
  }
}

TEST_P(FamilyStep, SaysWhenTheGradientsOfAUnitAreComplete) {
  const models::ModelFolder folder = models::open_model_folder(model_fixture(GetParam()));
  Packed batch;
  batch.add_whole(read_sequences(model_fixture(GetParam() + ".expected")).front());
  for (const bool recomputed : {false, true}) {
    const auto model = models::make_causal_lm(folder.spec, folder.tensors,
                                              {.dtype = at::kDouble, .gradient_checkpointing = recomputed});
    train::Parameters parameters(*model, folder.tensors);
    parameters.zero_gradients();
    std::vector<size_t> units;
    NamedTensors complete;
    const auto note = [&](size_t unit) {
      units.push_back(unit);
      for (const train::Parameter& entry : parameters.entries()) {
        if (entry.unit == unit) complete.emplace_back(entry.name, entry.gradient.clone());
      }
    };
    probe_loss(logits_of(*model, batch, at::kCPU, note)[0], 0).backward();
    std::vector<size_t> expected;  // not the embedding, and what it shares a unit with
    for (size_t unit = models::units_of(folder.spec).size(); unit-- > 1;) expected.push_back(unit);
    EXPECT_EQ(units, expected);
    for (const auto& [name, gradient] : complete)
      EXPECT_TRUE(at::equal(gradient, parameters.gradient(name))) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, FamilyStep, testing::ValuesIn(kModelFixtures),
                         [](const auto& each) { return each.param; });

}  // namespace
}  // namespace ddro::test
