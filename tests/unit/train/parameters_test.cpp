#include "ddro/train/parameters.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <limits>

#include "support/expect_error.h"
#include "support/tiny_model.h"
#include "unit/train/two_parameters.h"

namespace ddro::train {
namespace {

using test::TwoParameters;

TEST(Parameters, MastersAreWhatTheModelComputesWithWhereThatIsLongEnough) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    const TwoParameters model(dtype);
    const Parameters parameters(model, model.initial());
    for (const Parameter& entry : parameters.entries()) {
      EXPECT_TRUE(entry.master.is_same(entry.compute));
      EXPECT_FALSE(entry.is_mixed());
      EXPECT_TRUE(entry.compute.grad().is_same(entry.gradient));
    }
    EXPECT_EQ(parameters.size(), 31 * 33 + 33);
  }
}

TEST(Parameters, MastersOfShortTypesStartFromTheFolder) {
  const TwoParameters model(at::kBFloat16);
  Parameters parameters(model, model.initial());
  for (size_t i = 0; i < 2; ++i) {
    const Parameter& entry = parameters.entries()[i];
    EXPECT_TRUE(entry.is_mixed());
    EXPECT_TRUE(at::equal(entry.master, model.initial()[i].second));
    EXPECT_EQ(entry.gradient.scalar_type(), at::kFloat);
    entry.master.add_(1);
  }
  parameters.masters_changed();
  for (const Parameter& entry : parameters.entries())
    EXPECT_TRUE(at::equal(entry.compute, entry.master.to(at::kBFloat16)));
}

TEST(Parameters, MatricesDecay) {
  const TwoParameters model;
  const Parameters parameters(model, model.initial());
  EXPECT_TRUE(parameters.entries()[0].decays);
  EXPECT_FALSE(parameters.entries()[1].decays);
}

TEST(Parameters, MatricesOfExpertsDecayAndTheirBiasesDoNot) {
  const models::ModelSpec spec = models::parse_model_config({{"model_type", "gpt_oss"},
                                                             {"vocab_size", 9},
                                                             {"hidden_size", 8},
                                                             {"intermediate_size", 4},
                                                             {"num_hidden_layers", 1},
                                                             {"num_attention_heads", 2},
                                                             {"num_key_value_heads", 1},
                                                             {"head_dim", 4},
                                                             {"num_local_experts", 2},
                                                             {"num_experts_per_tok", 1},
                                                             {"rope_parameters", {{"rope_theta", 1e4}}}},
                                                            "tiny");
  const auto model = test::tiny_model(spec, 1, at::kFloat, /*trainable=*/true);
  const Parameters parameters(*model, model->parameters());
  std::vector<std::string> decaying;
  for (const Parameter& entry : parameters.entries()) {
    if (entry.decays && entry.name.find("experts") != std::string::npos) decaying.push_back(entry.name);
  }
  EXPECT_THAT(decaying, testing::UnorderedElementsAre("model.layers.0.mlp.experts.gate_up_proj",
                                                      "model.layers.0.mlp.experts.down_proj"));
}

TEST(Parameters, AddUpBfloat16GradientsOfSeveralBackwards) {
  const TwoParameters model(at::kBFloat16);
  Parameters parameters(model, model.initial());
  for (int i = 0; i < 3; ++i) (model.parameters()[1].second * 0.5).sum().backward();
  EXPECT_TRUE(at::allclose(parameters.gradient("model.norm.weight"), at::full({33}, 1.5)));
  EXPECT_NEAR(parameters.gradient_norm(), std::sqrt(33 * 1.5 * 1.5), 1e-5);
  parameters.scale_gradients(2);
  EXPECT_NEAR(parameters.gradient_norm(), std::sqrt(33 * 3.0 * 3.0), 1e-5);
  parameters.zero_gradients();
  EXPECT_EQ(parameters.gradient_norm(), 0);
}

TEST(Parameters, ThatDoNotRequireGradAreFrozen) {
  const TwoParameters model(at::kBFloat16);
  Tensor(model.parameters()[1].second).set_requires_grad(false);
  Parameters parameters(model, model.initial());
  const Parameter& frozen = parameters.entries()[1];
  EXPECT_FALSE(frozen.trainable || frozen.is_mixed() || frozen.master.defined() || frozen.gradient.defined());
  EXPECT_EQ(parameters.size(), 31 * 33);
  ASSERT_EQ(parameters.masters().size(), 1u);
  EXPECT_EQ(parameters.masters()[0].first, "model.embed_tokens.weight");
  parameters.gradient("model.embed_tokens.weight").fill_(1);
  EXPECT_NEAR(parameters.gradient_norm(), std::sqrt(31 * 33), 1e-5);
}

TEST(Parameters, LoadMastersAndRoundThem) {
  const TwoParameters model(at::kBFloat16);
  Parameters parameters(model, model.initial());
  const NamedTensors other = {{"model.norm.weight", at::full({33}, 2.0 / 3)},
                              {"model.embed_tokens.weight", at::full({31, 33}, 1.0 / 3)}};
  parameters.load_masters(other, "there");
  EXPECT_TRUE(at::equal(parameters.masters()[0].second, other[1].second));
  EXPECT_TRUE(at::equal(model.parameters()[1].second, other[0].second.to(at::kBFloat16)));
}

TEST(Parameters, RefuseForeignMasters) {
  const TwoParameters model;
  Parameters parameters(model, model.initial());
  const auto refusal = [&](const NamedTensors& masters) {
    return test::message_of(ErrorKind::kModel, [&] { parameters.load_masters(masters, "there"); });
  };
  NamedTensors masters = model.initial();
  masters[1].second = at::zeros({32});
  EXPECT_THAT(refusal(masters), testing::HasSubstr("[there] tensor \"model.norm.weight\" has another shape"));
  masters[1].second = at::zeros({33}, at::kDouble);
  EXPECT_THAT(refusal(masters), testing::HasSubstr("shape or type than the model"));
  masters.pop_back();
  EXPECT_THAT(refusal(masters), testing::HasSubstr("\"model.norm.weight\" is missing"));
  masters = model.initial();
  masters.emplace_back("more", at::zeros({1}));
  EXPECT_THAT(refusal(masters), testing::HasSubstr("holds more tensors than the model has"));
}

TEST(Parameters, ThatAreNotFiniteAreFound) {
  const TwoParameters model;
  const Parameters parameters(model, model.initial());
  EXPECT_EQ(test::first_non_finite(parameters.masters()), "");
  parameters.masters()[1].second[7] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(test::first_non_finite(parameters.masters()), "model.norm.weight");
}

}  // namespace
}  // namespace ddro::train
