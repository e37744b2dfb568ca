// What an adapter_config.json or an `adapter` section is about: layers, ranks, scales, and what is refused.
#include "ddro/models/adapter_spec.h"

#include <gmock/gmock.h>

#include <cmath>

#include "ddro/models/model_config.h"
#include "support/expect_error.h"

namespace ddro::models {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ModelSpec model(bool tied = false) {
  return parse_model_config({{"model_type", "llama"},
                             {"vocab_size", 97},
                             {"hidden_size", 48},
                             {"intermediate_size", 80},
                             {"num_hidden_layers", 2},
                             {"num_attention_heads", 4},
                             {"num_key_value_heads", 2},
                             {"attention_bias", true},
                             {"tie_word_embeddings", tied}},
                            "config.json");
}

Json config_with(const Json& changes) {
  Json config = {{"peft_type", "LORA"}, {"r", 4}, {"lora_alpha", 8}, {"target_modules", {"q_proj"}}};
  if (!changes.is_null()) config.update(changes);
  return config;
}

AdapterSpec plan(const Json& changes, const ModelSpec& spec = model(),
                 const std::vector<std::string>& tensors = {}) {
  return plan_adapter(parse_adapter_config(config_with(changes), "adapter_config.json"), spec, tensors,
                      "adapter_config.json");
}

std::vector<std::string> linears(const AdapterSpec& adapter) {
  std::vector<std::string> names;
  for (const AdaptedLinear& each : adapter.linears)
    names.push_back(each.linear.name.substr(std::string("model.layers.").size()));
  return names;
}

std::vector<std::string> saved(const AdapterSpec& adapter) {
  std::vector<std::string> names;
  for (const ParameterSpec& each : adapter.saved) names.push_back(each.name);
  return names;
}

TEST(AdapterTargets, AreNamesOrWhatFollowsADot) {
  EXPECT_THAT(linears(plan({{"target_modules", {"q_proj", "layers.1.mlp.up_proj"}}})),
              ElementsAre("0.self_attn.q_proj", "1.self_attn.q_proj", "1.mlp.up_proj"));
  EXPECT_THAT(linears(plan({{"target_modules", {"_proj", "model.layers.0.mlp.gate_proj"}}})),
              ElementsAre("0.mlp.gate_proj"));
}

TEST(AdapterTargets, ComeFromTheTensorsWhereTheyAreAPattern) {
  const std::vector<std::string> tensors = {"base_model.model.model.layers.1.mlp.up_proj.lora_A.weight"};
  EXPECT_THAT(linears(plan({{"target_modules", ".*up_proj"}}, model(), tensors)),
              ElementsAre("1.mlp.up_proj"));
  EXPECT_THAT(
      linears(plan({{"target_modules", {"up_proj"}}, {"layers_to_transform", {1}}}, model(), tensors)),
      ElementsAre("1.mlp.up_proj"));
}

TEST(AdapterTargets, AreNotWhatIsTrainedInFull) {
  const AdapterSpec adapter = plan(
      {{"target_modules", {"q_proj", "up_proj"}}, {"modules_to_save", {"layers.0.self_attn", "up_proj"}}});
  EXPECT_THAT(linears(adapter), ElementsAre("1.self_attn.q_proj"));
  EXPECT_EQ(adapter.saved.size(), 2u * 4 + 2);  // q, k, v, o with biases; up of both layers
}

TEST(AdapterParameters, AreNamedAndShapedAsPeftsWithDora) {
  const AdapterSpec adapter = plan({{"target_modules", {"layers.0.self_attn.k_proj"}},
                                    {"use_dora", true},
                                    {"modules_to_save", {"lm_head"}}});
  std::vector<std::string> all;
  for (const ParameterSpec& each : parameters_of(adapter)) {
    all.push_back(each.name);
    for (const std::int64_t size : each.shape) all.back() += " " + std::to_string(size);
  }
  const std::string k = "base_model.model.model.layers.0.self_attn.k_proj.";
  EXPECT_THAT(all, ElementsAre(k + "lora_A.weight 4 48", k + "lora_B.weight 24 4",
                               k + "lora_magnitude_vector 24", "base_model.model.lm_head.weight 97 48"));
  EXPECT_EQ(num_parameters(adapter), 4 * 48 + 24 * 4 + 24 + 97 * 48);
}

TEST(AdapterScales, AreAlphaOverRankOrItsRoot) {
  EXPECT_EQ(plan({}).linears[0].scale, 2);
  EXPECT_EQ(plan({{"use_rslora", true}}).linears[0].scale, 4);
  const AdapterSpec adapter = plan({{"target_modules", {"q_proj", "v_proj"}},
                                    {"rank_pattern", {{"layers.0.self_attn.q_proj", 2}, {"q_proj", 16}}},
                                    {"alpha_pattern", {{"v_proj", 1}}}});
  std::vector<std::pair<std::int64_t, double>> got;
  for (const AdaptedLinear& each : adapter.linears) got.emplace_back(each.rank, each.scale);
  EXPECT_THAT(got,
              ElementsAre(std::pair(2, 4.0), std::pair(4, 0.25), std::pair(16, 0.5), std::pair(4, 0.25)));
}

// PEFT takes each module whose name ends with the text: all that end with "norm" here.
TEST(AdapterSavedModules, AreAllParametersOfModulesWithThatEnding) {
  EXPECT_THAT(
      saved(plan({{"modules_to_save", {"norm"}}})),
      ElementsAre("model.layers.0.input_layernorm.weight", "model.layers.0.post_attention_layernorm.weight",
                  "model.layers.1.input_layernorm.weight", "model.layers.1.post_attention_layernorm.weight",
                  "model.norm.weight"));
  EXPECT_THAT(saved(plan({{"modules_to_save", {"layers.1.self_attn.v_proj"}}})),
              ElementsAre("model.layers.1.self_attn.v_proj.weight", "model.layers.1.self_attn.v_proj.bias"));
  EXPECT_THAT(saved(plan({{"modules_to_save", {"lm_head"}}}, model(/*tied=*/true))),
              ElementsAre("lm_head.weight"));
}

std::string refusal(const Json& changes) {
  return test::message_of(ErrorKind::kModel, [&] { plan(changes); });
}

TEST(AdapterRefusals, NameTheKey) {
  EXPECT_EQ(refusal({{"peft_type", "IA3"}}),
            "[adapter_config.json] peft_type \"IA3\" is not supported; expected LORA (DoRA is its use_dora)");
  EXPECT_THAT(refusal({{"peft_type", nullptr}}), HasSubstr("peft_type is missing"));
  EXPECT_THAT(refusal({{"task_type", "SEQ_CLS"}}), HasSubstr("task_type \"SEQ_CLS\" is not supported"));
  EXPECT_THAT(refusal({{"bias", "all"}}), HasSubstr("bias is not supported; got \"all\", expected \"none\""));
  EXPECT_THAT(refusal({{"lora_bias", true}}), HasSubstr("lora_bias is not supported"));
  EXPECT_THAT(refusal({{"trainable_token_indices", {1, 2}}}),
              HasSubstr("trainable_token_indices is not supported"));
  EXPECT_THAT(refusal({{"a_key_of_tomorrow", 3}}), HasSubstr("a_key_of_tomorrow is not supported; got 3"));
  EXPECT_THAT(refusal({{"init_lora_weights", "pissa"}}),
              HasSubstr("init_lora_weights is not supported; got \"pissa\", which changes the base model"));
  EXPECT_THAT(refusal({{"r", 0}}), HasSubstr("r is out of range; got 0"));
  EXPECT_THAT(refusal({{"lora_alpha", 0}}), HasSubstr("lora_alpha is out of range; got 0"));
  EXPECT_THAT(refusal({{"lora_dropout", 1}}), HasSubstr("lora_dropout is out of range; got 1"));
  EXPECT_THAT(refusal({{"rank_pattern", {{"q_proj", 0}}}}), HasSubstr("rank_pattern.q_proj is out of range"));
  EXPECT_THAT(refusal({{"rank_pattern", {{"q_proj", 1.5}}}}),
              HasSubstr("rank_pattern.q_proj is out of range"));
  EXPECT_THAT(refusal({{"alpha_pattern", {{"layers.[01].*", 4}}}}), HasSubstr("is a regular expression"));
  EXPECT_THAT(refusal({{"target_modules", nullptr}}), HasSubstr("target_modules is missing"));
  EXPECT_THAT(
      refusal({{"target_modules", {"c_attn"}}}),
      HasSubstr("target_modules names no linear layer of this model; it has q_proj, k_proj, v_proj, o_proj, "
                "gate_proj, up_proj, down_proj"));
  EXPECT_THAT(refusal({{"modules_to_save", "lm_head"}}), HasSubstr("modules_to_save is not a list of names"));
}

// Written by newer versions, with the meaning of their absence.
TEST(AdapterRefusals, LetKeysPassThatAreOff) {
  EXPECT_EQ(linears(plan({{"bias", "none"},
                          {"fan_in_fan_out", false},
                          {"target_parameters", nullptr},
                          {"loftq_config", Json::object()},
                          {"init_lora_weights", "gaussian"},
                          {"megatron_core", "megatron.core"},
                          {"layers_to_transform", nullptr},
                          {"lora_dropout", 0.05},
                          {"task_type", "CAUSAL_LM"}})),
            linears(plan({})));
}

Json written(const AdapterOptions& options, bool tied = false) {
  return make_adapter_config(options, model(tied), "base");
}

TEST(AdapterSection, BecomesAConfigurationOfPeft) {
  AdapterOptions options;
  options.adapter_type = AdapterType::kDora;
  options.lora_alpha = 8;
  options.use_rslora = true;
  const Json config = written(options);
  EXPECT_EQ(config["target_modules"],
            (Json{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}));
  EXPECT_EQ(config["modules_to_save"], nullptr);
  const PeftConfig read = parse_adapter_config(config, "adapter_config.json");
  EXPECT_TRUE(read.dora);
  EXPECT_EQ(read.base_model_name_or_path, "base");
  const AdapterSpec adapter = plan_adapter(read, model(), {}, "adapter_config.json");
  EXPECT_EQ(adapter.linears.size(), 14u);
  EXPECT_EQ(adapter.linears[0].rank, 16);
  EXPECT_EQ(adapter.linears[0].scale, 2);  // 8 / sqrt(16)
}

TEST(AdapterSection, NamesOnlyWhatTheModelHas) {
  AdapterOptions options;
  options.adapter_type = AdapterType::kLora;
  options.target_modules.names = {"q_proj", "lm_head"};
  EXPECT_THAT(test::message_of(ErrorKind::kInput, [&] { written(options); }),
              HasSubstr("[adapter.target_modules] \"lm_head\" is no linear layer of the model"));
  options.target_modules.names = {};
  options.modules_to_save = {"lm_heads"};
  EXPECT_THAT(test::message_of(ErrorKind::kInput, [&] { written(options); }),
              HasSubstr("[adapter.modules_to_save] \"lm_heads\" is no module of the model"));
  options.modules_to_save = {"lm_head"};
  EXPECT_EQ(written(options, /*tied=*/true)["modules_to_save"], Json{"lm_head"});
}

TEST(AdapterSection, IsChecked) {
  const auto refused = [](const std::function<void(AdapterOptions&)>& change) {
    AdapterOptions options;
    change(options);
    return test::message_of(ErrorKind::kInput, [&] { options.validate(); });
  };
  EXPECT_NO_THROW(AdapterOptions().validate());
  EXPECT_THAT(refused([](auto& o) { o.r = 0; }), HasSubstr("[adapter.r] is out of range; got 0"));
  EXPECT_THAT(refused([](auto& o) { o.r = 65537; }), HasSubstr("[adapter.r]"));
  EXPECT_THAT(refused([](auto& o) { o.lora_alpha = 0; }), HasSubstr("[adapter.lora_alpha]"));
  EXPECT_THAT(refused([](auto& o) { o.target_modules.names = {""}; }), HasSubstr("[adapter.target_modules]"));
  EXPECT_THAT(refused([](auto& o) {
                o.modules_to_save = {"a", ""};
              }),
              HasSubstr("[adapter.modules_to_save]"));
  EXPECT_THAT(refused([](auto& o) { o.adapter_name_or_path = ""; }),
              HasSubstr("[adapter.adapter_name_or_path]"));
}

TEST(AdapterSummaries, SayKindRankAndLayers) {
  EXPECT_EQ(summary(plan({})), "lora of rank 4 on 2 linear layers");
  EXPECT_EQ(summary(plan({{"use_dora", true},
                          {"rank_pattern", {{"layers.0.self_attn.q_proj", 2}}},
                          {"modules_to_save", {"lm_head"}}})),
            "dora of rank 2 to 4 on 2 linear layers, 1 tensors trained in full");
}

TEST(AdapterDescriptions, TellScalesApart) {
  EXPECT_NE(describe(plan({})), describe(plan({{"lora_alpha", 9}})));
  EXPECT_NE(describe(plan({})), describe(plan({{"use_dora", true}})));
}

}  // namespace
}  // namespace ddro::models
