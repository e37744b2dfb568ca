#include "ddro/models/model_spec.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "ddro/models/model_config.h"
#include "ddro/models/weight_units.h"

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

// Each parameter once; those of the head with the embedding where they are one.
TEST(ModelSpecParameters, ComeInUnits) {
  for (const bool tied : {true, false}) {
    const ModelSpec spec = spec_of({{"model_type", "qwen3"}, {"tie_word_embeddings", tied}});
    const auto units = units_of(spec);
    ASSERT_EQ(units.size(), spec.layers.size() + (tied ? 1 : 2));
    EXPECT_EQ(units[0].size(), tied ? 2u : 1u);
    EXPECT_EQ(units[0].back().name, tied ? "model.norm.weight" : "model.embed_tokens.weight");
    std::set<std::string> names;
    for (size_t unit = 0; unit < units.size(); ++unit) {
      const bool is_layer = unit > 0 && unit <= spec.layers.size();
      for (const ParameterSpec& each : units[unit]) {
        EXPECT_TRUE(names.insert(each.name).second) << each.name;
        EXPECT_EQ(each.name.starts_with("model.layers." + std::to_string(unit - 1) + "."), is_layer);
      }
    }
    EXPECT_EQ(names.size(), parameters_of(spec).size());
  }
}

Json mixture(const std::string& model_type) {
  Json config = {{"model_type", model_type}, {"num_local_experts", 6}, {"num_experts_per_tok", 2}};
  if (model_type == "qwen2_moe") {
    config["moe_intermediate_size"] = 24;
    config["shared_expert_intermediate_size"] = 40;
  }
  if (model_type == "granitemoeshared") config["shared_intermediate_size"] = 40;
  return config;
}

TEST(ModelSpecParameters, OfExpertsAreHuggingFaces) {
  const std::string layer = "model.layers.0.mlp.";
  const ModelSpec qwen = spec_of(mixture("qwen2_moe"));
  EXPECT_EQ(parameters_of(qwen).size(), 1u + 3 * (9 + 1 + 6 * 3 + 3 + 1) + 2);
  EXPECT_EQ(names_and_shapes(qwen, 10, 4),
            (std::vector<std::string>{layer + "gate.weight 6 48", layer + "experts.0.gate_proj.weight 24 48",
                                      layer + "experts.0.up_proj.weight 24 48",
                                      layer + "experts.0.down_proj.weight 48 24"}));
  EXPECT_EQ(names_and_shapes(qwen, 29, 4),
            (std::vector<std::string>{
                layer + "shared_expert.gate_proj.weight 40 48", layer + "shared_expert.up_proj.weight 40 48",
                layer + "shared_expert.down_proj.weight 48 40", layer + "shared_expert_gate.weight 1 48"}));
  const std::string block = "model.layers.0.block_sparse_moe.";
  EXPECT_EQ(
      names_and_shapes(spec_of(mixture("granitemoe")), 7, 3),
      (std::vector<std::string>{block + "router.layer.weight 6 48", block + "input_linear.weight 6 160 48",
                                block + "output_linear.weight 6 48 80"}));
}

// What an adapter can be on: each expert where it has tensors of its own, and routers.
TEST(ModelSpecLinears, AreThoseThatAreModulesOfTheirOwn) {
  EXPECT_EQ(linears_of(spec_of(mixture("mixtral"))).size(), 3u * (4 + 1 + 6 * 3));
  EXPECT_EQ(linears_of(spec_of(mixture("granitemoe"))).size(), 3u * (4 + 1));
}

TEST(ModelSpecFlops, CountTheExpertsOfAToken) {
  const std::int64_t attention = 2 * 48 * 48 + 2 * 48 * 24, router = 6 * 48;
  EXPECT_EQ(num_trunk_matmul_parameters(spec_of(mixture("mixtral"))),
            3 * (attention + router + 2 * 3 * 48 * 80));
  EXPECT_EQ(num_trunk_matmul_parameters(spec_of(mixture("granitemoeshared"))),
            3 * (attention + router + 2 * 3 * 48 * 80 + 3 * 48 * 40));
  EXPECT_EQ(num_trunk_matmul_parameters(spec_of(mixture("qwen2_moe"))),
            3 * (attention + router + 2 * 3 * 48 * 24 + 3 * 48 * 40 + 48));
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
      [](ModelSpec& m) { m.layers[0].attention.norms_turned = true; },
      [](ModelSpec& m) { m.layers[0].attention.alibi.emplace(); },
      [](ModelSpec& m) { m.layers[1].attention.alibi.emplace(); },
      [](ModelSpec& m) { m.layers[0].attention.alibi = AlibiSpec{.bias_max = 4}; },
      [](ModelSpec& m) { m.layers[0].attention.alibi = AlibiSpec{.in_bfloat16 = true}; },
      [](ModelSpec& m) { m.layers[0].attention.fused.name = "qkv"; },
      [](ModelSpec& m) { m.layers[0].feed_forward.activation = Activation::kGelu; },
      [](ModelSpec& m) { m.layers[0].feed_forward.activation = Activation::kGeluTanh; },
      [](ModelSpec& m) { m.layers[0].feed_forward.activation = Activation::kReluSquared; },
      [](ModelSpec& m) { m.norm_kind = NormKind::kLayer; },
      [](ModelSpec& m) { m.norm_kind = NormKind::kRmsPlusOne; },
      [](ModelSpec& m) { m.norm_kind = NormKind::kLayerPlusOne; },
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

TEST(DescribeModel, TellsMixturesApart) {
  const ModelSpec base = spec_of(mixture("qwen2_moe"));
  const std::vector<std::function<void(ExpertsSpec&)>> changes = {
      [](ExpertsSpec& e) { ++e.router.out; }, [](ExpertsSpec& e) { ++e.top_k; },
      [](ExpertsSpec& e) { e.normalized = true; },
      [](ExpertsSpec& e) { e.experts[0].activation = Activation::kGelu; },
      [](ExpertsSpec& e) { e.shared.reset(); }};
  std::set<std::string> descriptions = {describe(base).dump()};
  for (const auto& change : changes) {
    ModelSpec model = base;
    for (LayerSpec& layer : model.layers) change(*layer.experts);
    descriptions.insert(describe(model).dump());
  }
  EXPECT_EQ(descriptions.size(), changes.size() + 1);
}

TEST(SummaryOfAModel, CountsExperts) {
  EXPECT_EQ(summary(spec_of(mixture("qwen2_moe"))),
            "qwen2_moe, 3 layers of width 48, 4 heads of 12 (2 for keys and values), 6 experts of 24 (2 a "
            "token) beside one of 40, 97 ids, 256 positions");
}

TEST(SummaryOfAModel, SaysWhatPeopleAskFor) {
  EXPECT_EQ(
      summary(spec_of({{"model_type", "mistral"}, {"sliding_window", 7}, {"tie_word_embeddings", true}})),
      "mistral, 3 layers of width 48, 4 heads of 12 (2 for keys and values), MLP 80, 97 ids, 256 "
      "positions, window of 7, head tied to the embedding");
}

}  // namespace
}  // namespace ddro::models
