// What a built model promises about its parameters; its numbers are checked in tests/parity/models.
#include "ddro/models/causal_lm.h"

#include <gtest/gtest.h>

#include "ddro/base/error.h"
#include "ddro/models/model_config.h"
#include "unit/models/tiny_model.h"

namespace ddro::models {
namespace {

class CausalLmTest : public testing::Test {
 protected:
  std::unique_ptr<CausalLm> make(const BuildOptions& options) {
    return make_causal_lm(parse_model_config(config_, "tiny"), tensors_, options);
  }
  Tensor hidden(const CausalLm& model) {
    const ops::AttentionLayout layout({{0, 3}, {3, 2, 0}}, at::kCPU);
    const Tensor ids = at::tensor({1, 2, 3, 4, 5}, at::kLong),
                 positions = at::tensor({0, 1, 2, 3, 4}, at::kLong);
    return model.hidden({ids, positions, &layout, at::tensor({4, 0, 4}, at::kLong)});
  }

  Json config_ = test::tiny_config();
  NamedTensors tensors_ = test::tiny_tensors(config_);
};

TEST_F(CausalLmTest, TrainableParametersAreLeavesOfTheirOwn) {
  const auto model = make({});
  ASSERT_EQ(model->parameters().size(), tensors_.size());
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const auto& [name, parameter] = model->parameters()[i];
    EXPECT_EQ(name, tensors_[i].first);
    EXPECT_TRUE(parameter.requires_grad() && parameter.is_leaf());
    EXPECT_TRUE(at::equal(parameter, tensors_[i].second));
    EXPECT_NE(parameter.const_data_ptr(), tensors_[i].second.const_data_ptr());
  }
  EXPECT_EQ(model->head_weight_name(), "lm_head.weight");
  EXPECT_TRUE(model->head_weight().is_same(model->parameters().back().second));
}

TEST_F(CausalLmTest, FrozenParametersAliasAndBuildNoGraph) {
  const auto model = make({.trainable = false, .gradient_checkpointing = true});
  EXPECT_EQ(model->parameters()[0].second.const_data_ptr(), tensors_[0].second.const_data_ptr());
  EXPECT_FALSE(model->parameters()[0].second.requires_grad());
  EXPECT_FALSE(hidden(*model).requires_grad());
}

TEST_F(CausalLmTest, TiedHeadIsTheEmbedding) {
  config_["tie_word_embeddings"] = true;
  tensors_ = test::tiny_tensors(config_);
  const auto model = make({});
  EXPECT_EQ(model->head_weight_name(), "model.embed_tokens.weight");
  EXPECT_TRUE(model->head_weight().is_same(model->parameters()[0].second));
}

TEST_F(CausalLmTest, HiddenStatesComeAtTheAskedPositionsInTheComputeDtype) {
  const Tensor reference = hidden(*make({.dtype = at::kDouble}));
  EXPECT_EQ(reference.sizes(), (std::vector<std::int64_t>{3, 8}));
  EXPECT_TRUE(at::equal(reference[0], reference[2]));
  EXPECT_FALSE(at::allclose(reference[0], reference[1]));
  const Tensor half = hidden(*make({.dtype = at::kBFloat16}));
  EXPECT_EQ(half.scalar_type(), at::kBFloat16);
  EXPECT_LE((half.to(at::kDouble) - reference).norm().item<double>(), 3e-2 * reference.norm().item<double>());
}

TEST_F(CausalLmTest, EveryTrainableParameterGetsAGradient) {
  for (const bool checkpointing : {false, true}) {
    const auto model = make({.gradient_checkpointing = checkpointing});
    at::linear(hidden(*model), model->head_weight()).square().sum().backward();
    for (const auto& [name, parameter] : model->parameters()) {
      ASSERT_TRUE(parameter.grad().defined()) << name;
      EXPECT_GT(parameter.grad().abs().max().item<float>(), 0) << name;
    }
  }
}

TEST_F(CausalLmTest, RefusesTensorsOfAnotherModel) {
  tensors_.pop_back();
  EXPECT_THROW(make({}), Error);
}

}  // namespace
}  // namespace ddro::models
