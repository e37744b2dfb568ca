#include "ddro/models/model_spec.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "ddro/models/model_config.h"

namespace ddro::models {
namespace {

ModelSpec spec_of(Json config) {
  const Json sizes = {{"vocab_size", 97},
                      {"hidden_size", 48},
                      {"intermediate_size", 80},
                      {"num_hidden_layers", 3},
                      {"num_attention_heads", 4},
                      {"num_key_value_heads", 2},
                      {"max_position_embeddings", 256}};
  for (const auto& [key, value] : sizes.items()) {
    if (!config.contains(key)) config[key] = value;
  }
  return parse_model_config(config, "config.json");
}

std::vector<std::string> names_and_shapes(const ModelSpec& spec, size_t first, size_t count) {
  std::vector<std::string> all;
  const auto parameters = parameters_of(spec);
  for (size_t i = first; i < first + count; ++i) {
    all.push_back(parameters[i].name);
    for (const std::int64_t size : parameters[i].shape) all.back() += " " + std::to_string(size);
  }
  return all;
}

TEST(ModelSpecParameters, AreHuggingFacesInTheOrderOfTheForward) {
  const ModelSpec spec = spec_of({{"model_type", "qwen3"}, {"head_dim", 20}, {"attention_bias", true}});
  ASSERT_EQ(parameters_of(spec).size(), 1u + 3 * 15 + 2);
  const std::string layer = "model.layers.0.";
  EXPECT_EQ(names_and_shapes(spec, 0, 16),
            (std::vector<std::string>{
                "model.embed_tokens.weight 97 48", layer + "input_layernorm.weight 48",
                layer + "self_attn.q_proj.weight 80 48", layer + "self_attn.q_proj.bias 80",
                layer + "self_attn.k_proj.weight 40 48", layer + "self_attn.k_proj.bias 40",
                layer + "self_attn.v_proj.weight 40 48", layer + "self_attn.v_proj.bias 40",
                layer + "self_attn.q_norm.weight 20", layer + "self_attn.k_norm.weight 20",
                layer + "self_attn.o_proj.weight 48 80", layer + "self_attn.o_proj.bias 48",
                layer + "post_attention_layernorm.weight 48", layer + "mlp.gate_proj.weight 80 48",
                layer + "mlp.up_proj.weight 80 48", layer + "mlp.down_proj.weight 48 80"}));
  EXPECT_EQ(names_and_shapes(spec, 46, 2),
            (std::vector<std::string>{"model.norm.weight 48", "lm_head.weight 97 48"}));
}

TEST(ModelSpecParameters, OfATiedHeadAreTheEmbeddingsAlone) {
  const auto parameters = parameters_of(spec_of({{"model_type", "llama"}, {"tie_word_embeddings", true}}));
  EXPECT_EQ(parameters.back().name, "model.norm.weight");
}

TEST(ModelSpecFlops, CountsMatmulParametersOfTheTrunk) {
  const ModelSpec spec = spec_of({{"model_type", "llama"},
                                  {"hidden_size", 576},
                                  {"intermediate_size", 1536},
                                  {"num_hidden_layers", 30},
                                  {"num_attention_heads", 9},
                                  {"num_key_value_heads", 3},
                                  {"head_dim", 64}});
  EXPECT_EQ(num_trunk_matmul_parameters(spec), 30 * (2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536));
}

// Caches on disk are named by it: another text for the same model would make them anew.
TEST(DescribeModel, KeepsItsText) {
  EXPECT_EQ(
      describe(spec_of({{"model_type", "qwen2"},
                        {"use_sliding_window", true},
                        {"sliding_window", 5},
                        {"max_window_layers", 1}}))
          .dump(),
      R"({"model_type":"qwen2","vocab_size":97,"hidden_size":48,"intermediate_size":80,)"
      R"("num_hidden_layers":3,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":12,)"
      R"("max_position_embeddings":256,"rms_norm_eps":1e-06,"rope_theta":10000.0,)"
      R"("rope_scaling":[0,1.0,1.0,4.0,8192.0],"tie_word_embeddings":false,"qkv_bias":true,)"
      R"("output_bias":false,"mlp_bias":false,"qk_norm":false,"sliding_window":5,"window_from_layer":1})");
}

// What decides a forward is in the description, so that caches of different models are kept apart.
TEST(DescribeModel, TellsModelsApart) {
  const ModelSpec base = spec_of({{"model_type", "llama"}});
  const std::vector<std::function<void(ModelSpec&)>> changes = {
      [](ModelSpec& m) { m.model_type = "mistral"; },
      [](ModelSpec& m) { ++m.vocab_size; },
      [](ModelSpec& m) { ++m.hidden_size; },
      [](ModelSpec& m) { ++m.max_position_embeddings; },
      [](ModelSpec& m) { m.norm_eps = 1e-5; },
      [](ModelSpec& m) { m.tie_word_embeddings = !m.tie_word_embeddings; },
      [](ModelSpec& m) { m.layers.pop_back(); },
      [](ModelSpec& m) { ++m.layers[0].feed_forward.up.out; },
      [](ModelSpec& m) { m.layers[0].feed_forward.up.bias = true; },
      [](ModelSpec& m) { m.layers[0].attention.query.bias = true; },
      [](ModelSpec& m) { m.layers[0].attention.output.bias = true; },
      [](ModelSpec& m) { m.layers[0].attention.query_norm.emplace(); },
      [](ModelSpec& m) { ++m.layers[0].attention.num_heads; },
      [](ModelSpec& m) { ++m.layers[1].attention.num_heads; },
      [](ModelSpec& m) { ++m.layers[1].attention.num_key_value_heads; },
      [](ModelSpec& m) { ++m.layers[1].attention.head_dim; },
      [](ModelSpec& m) { m.layers[1].attention.rotary.theta = 5e5; },
      [](ModelSpec& m) { m.layers[2].attention.rotary.theta = 5e5; },
      [](ModelSpec& m) { m.layers[1].attention.rotary.scaling.type = RopeScaling::Type::kLinear; },
      [](ModelSpec& m) { m.layers[1].attention.rotary.scaling.factor = 2; },
      [](ModelSpec& m) { m.layers[1].attention.rotary.scaling.low_freq_factor = 2; },
      [](ModelSpec& m) { m.layers[1].attention.rotary.scaling.high_freq_factor = 2; },
      [](ModelSpec& m) { m.layers[1].attention.rotary.scaling.original_max_position_embeddings = 2; },
      [](ModelSpec& m) {
        m.layers[2].attention.rotary.scaling.attention_factor = 2,
        m.layers[2].attention.rotary.scaling.type = RopeScaling::Type::kYarn;
      },
      [](ModelSpec& m) { m.layers[2].attention.rotary.width = 0; },
      [](ModelSpec& m) { m.layers[0].attention.rotary.interleaved = true; },
      [](ModelSpec& m) { m.layers[0].attention.scale = 0.5; },
      [](ModelSpec& m) { m.layers[1].attention.scale = 0.5; },
      [](ModelSpec& m) { m.layers[0].attention.softcap = 50; },
      [](ModelSpec& m) { m.layers[0].attention.clip = 8; },
      [](ModelSpec& m) { m.layers[0].attention.fused.name = "qkv"; },
      [](ModelSpec& m) { m.layers[0].feed_forward.activation = Activation::kGelu; },
      [](ModelSpec& m) { m.layers[0].feed_forward.activation = Activation::kGeluTanh; },
      [](ModelSpec& m) { m.norm_kind = NormKind::kLayer; },
      [](ModelSpec& m) { m.norm_kind = NormKind::kRmsPlusOne; },
      [](ModelSpec& m) { m.parallel_residual = true; },
      [](ModelSpec& m) { m.embedding_scale = 2; },
      [](ModelSpec& m) { m.residual_scale = 2; },
      [](ModelSpec& m) { m.logit_scale = 2; },
      [](ModelSpec& m) { m.logit_softcap = 30; },
      [](ModelSpec& m) { m.layers[0].attention.window = 16; },
      [](ModelSpec& m) { m.layers[1].attention.window = 16; },
      [](ModelSpec& m) { m.layers[2].attention.window = 16; },
      [](ModelSpec& m) { m.layers[1].attention.window = m.layers[2].attention.window = 16; },
      [](ModelSpec& m) { m.layers[1].attention.window = m.layers[2].attention.window = 17; }};
  EXPECT_EQ(describe(base), describe(spec_of({{"model_type", "llama"}})));
  std::set<std::string> descriptions = {describe(base).dump()};
  for (const auto& change : changes) {
    ModelSpec model = base;
    change(model);
    descriptions.insert(describe(model).dump());
  }
  EXPECT_EQ(descriptions.size(), changes.size() + 1);
}

TEST(SummaryOfAModel, SaysWhatPeopleAskFor) {
  EXPECT_EQ(
      summary(spec_of({{"model_type", "mistral"}, {"sliding_window", 7}, {"tie_word_embeddings", true}})),
      "mistral, 3 layers of width 48, 4 heads of 12 (2 for keys and values), MLP 80, 97 ids, 256 "
      "positions, window of 7, head tied to the embedding");
}

}  // namespace
}  // namespace ddro::models
