#include "ddro/models/parameter_role.h"

#include <gtest/gtest.h>

#include "ddro/models/adapter_spec.h"
#include "ddro/models/model_config.h"

namespace ddro::models {
namespace {

ModelSpec spec_of(Json config) {
  config.update({{"vocab_size", 97},
                 {"hidden_size", 48},
                 {"intermediate_size", 80},
                 {"num_hidden_layers", 1},
                 {"num_attention_heads", 4},
                 {"num_key_value_heads", 2},
                 {"max_position_embeddings", 256}});
  return parse_model_config(config, "config.json");
}

TEST(ParameterRoles, OfALayersProductsAreMatrices) {
  const ModelSpec spec = spec_of({{"model_type", "llama"}, {"attention_bias", true}});
  const ParameterRoles roles(spec);
  for (const ParameterSpec& each : parameters_of(spec)) {
    const bool is_in_layer = each.name.find(".layers.") != std::string::npos;
    ParameterRole expected = each.shape.size() == 1 ? ParameterRole::kVector : ParameterRole::kMatrix;
    if (each.shape.size() == 2 && !is_in_layer)
      expected = each.name == "lm_head.weight" ? ParameterRole::kHead : ParameterRole::kEmbedding;
    EXPECT_EQ(roles[each.name], expected) << each.name;
  }
}

// Cohere's norms of each head have two dimensions; so have the biases of gpt-oss's stacked experts.
TEST(ParameterRoles, AreNotToldByTheShape) {
  const ParameterRoles cohere(spec_of({{"model_type", "cohere"}, {"use_qk_norm", true}}));
  EXPECT_EQ(cohere["model.layers.0.self_attn.q_norm.weight"], ParameterRole::kVector);
  const ParameterRoles gpt_oss(spec_of({{"model_type", "gpt_oss"},
                                        {"num_local_experts", 2},
                                        {"num_experts_per_tok", 1},
                                        {"rope_parameters", {{"rope_theta", 1e4}}}}));
  const std::string experts = "model.layers.0.mlp.experts.down_proj";
  EXPECT_EQ(gpt_oss[experts], ParameterRole::kMatrix);
  EXPECT_EQ(gpt_oss[experts + "_bias"], ParameterRole::kVector);
  EXPECT_EQ(gpt_oss["model.layers.0.mlp.router.weight"], ParameterRole::kMatrix);
}

TEST(ParameterRoles, OfLearnedPositionsAreTheEmbeddings) {
  const ParameterRoles roles(parse_model_config(
      {{"model_type", "gpt2"}, {"vocab_size", 97}, {"n_embd", 48}, {"n_layer", 1}, {"n_head", 4}},
      "config.json"));
  EXPECT_EQ(roles["transformer.wpe.weight"], ParameterRole::kEmbedding);
  EXPECT_EQ(roles["transformer.h.0.attn.c_attn.weight"], ParameterRole::kMatrix);
}

TEST(ParameterRoles, OfAnAdapterAreItsFactorsAndWhatItSaves) {
  const ParameterRoles roles(spec_of({{"model_type", "llama"}, {"tie_word_embeddings", true}}));
  const std::string layer = std::string(kAdapterPrefix) + "model.layers.0.self_attn.q_proj";
  EXPECT_EQ(roles[layer + ".lora_A.weight"], ParameterRole::kMatrix);
  EXPECT_EQ(roles[layer + ".lora_B.weight"], ParameterRole::kMatrix);
  EXPECT_EQ(roles[layer + ".lora_magnitude_vector"], ParameterRole::kVector);
  EXPECT_EQ(roles[std::string(kAdapterPrefix) + "lm_head.weight"], ParameterRole::kHead);
  EXPECT_EQ(roles[std::string(kAdapterPrefix) + "model.norm.weight"], ParameterRole::kVector);
}

}  // namespace
}  // namespace ddro::models
