#include "ddro/models/model_config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "ddro/base/error.h"
#include "ddro/models/model_options.h"
#include "fixture_names.h"
#include "support/expect_error.h"
#include "support/fixtures.h"

namespace ddro::models {
namespace {

ModelSpec parse(const std::string& text) {
  return parse_model_config(parse_json(text, "config.json", ErrorKind::kModel), "config.json");
}

// {"model_type": "llama"} with sizes that fit, plus `more`.
std::string llama(const std::string& more) {
  return R"({"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4)" +
         (more.empty() ? "" : ", " + more) + "}";
}

// Of each layer; 0 where there is none.
std::vector<std::int64_t> windows(const ModelSpec& model) {
  std::vector<std::int64_t> all;
  for (const LayerSpec& layer : model.layers) all.push_back(layer.attention.window.value_or(0));
  return all;
}

TEST(KnownFamilies, AreTheFilesOfTheirNames) {
  std::vector<std::string> files, families;
  for (const auto& entry : std::filesystem::directory_iterator(test::source_path("src/models/families")))
    files.push_back(entry.path().filename().string());
  std::sort(files.begin(), files.end());
  for (const KnownFamily& family : known_families()) families.push_back(family.model_type + ".cpp");
  EXPECT_EQ(families, files);
}

struct BadConfig {
  const char* name;
  std::string text;
  std::string message;  // its beginning, behind "[config.json] "
};

const BadConfig kBadConfigs[] = {
    {"NotAnObject", "[]", "is not a JSON object"},
    {"NoModelType", "{}", "model_type is missing"},
    {"ModelTypeNumber", R"({"model_type": 3})", "model_type is not a string; got 3"},
    {"UnknownFamily", R"({"model_type": "bert"})",
     "model_type \"bert\" is not supported; expected arcee, bloom, cohere, cohere2, "},
    {"MixtureFamily", R"({"model_type": "deepseek_v3"})", "model_type \"deepseek_v3\" is not supported"},
    {"LatentAttention", R"({"model_type": "deepseek_v2"})", "model_type \"deepseek_v2\" is not supported"},
    {"LinearAttention", R"({"model_type": "qwen3_next"})", "model_type \"qwen3_next\" is not supported"},
    {"StateSpaces", R"({"model_type": "mamba2"})", "model_type \"mamba2\" is not supported"},
    {"ControlCharacters", R"({"model_type": "a\nb"})", "model_type \"a\\nb\" is not supported"},
    {"Experts", llama(R"("num_local_experts": 8)"),
     "num_local_experts is set, but models of this model_type have no experts"},
    {"MoreThanAllExperts", R"({"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 5})",
     "num_experts_per_tok must be at most num_local_experts; got 5 and 4"},
    {"NoExperts", R"({"model_type": "olmoe", "num_experts": 0})", "num_experts is out of range; got 0"},
    {"DenseLayers", R"({"model_type": "qwen3_moe", "mlp_only_layers": [-1]})",
     "mlp_only_layers is not a list of layers' numbers; got [-1]"},
    {"RouterLoss", R"({"model_type": "mixtral", "output_router_logits": true, "router_aux_loss_coef": -1})",
     "router_aux_loss_coef is out of range; got -1, expected a number above 0"},
    {"Quantized", llama(R"("quantization_config": {"bits": 4})"),
     "quantization_config is set; quantized weights"},
    {"Activation", llama(R"("hidden_act": "mish")"),
     "hidden_act \"mish\" is not supported; known: silu, swish, gelu, gelu_new, gelu_pytorch_tanh, relu, "
     "relu2"},
    {"Dropout", llama(R"("attention_dropout": 0.1)"),
     "attention_dropout is not supported; got 0.1, expected 0"},
    {"HiddenZero", llama(R"("vocab_size": 0)"), "vocab_size is out of range; got 0"},
    {"HiddenNegative", llama(R"("intermediate_size": -4)"), "intermediate_size is out of range; got -4"},
    {"HiddenFraction", llama(R"("intermediate_size": 4.5)"), "intermediate_size is out of range; got 4.5"},
    {"HiddenText", llama(R"("intermediate_size": "12")"), "intermediate_size is out of range; got \"12\""},
    {"Huge", llama(R"("vocab_size": 18446744073709551615)"),
     "vocab_size is out of range; got 18446744073709551615"},
    {"TooManyLayers", llama(R"("num_hidden_layers": 1000000)"), "num_hidden_layers is out of range"},
    {"GroupsDoNotDivide", llama(R"("num_key_value_heads": 3)"),
     "num_key_value_heads must divide num_attention_heads; got 3 and 4"},
    {"HeadsDoNotDivide", R"({"model_type": "llama", "hidden_size": 10, "num_attention_heads": 4})",
     "hidden_size must be divisible by num_attention_heads when head_dim is absent; got 10 and 4"},
    {"OddHead", llama(R"("head_dim": 15)"), "head_dim must be even; got 15"},
    {"EpsZero", llama(R"("rms_norm_eps": 0)"), "rms_norm_eps is out of range; got 0"},
    {"ThetaNegative", llama(R"("rope_theta": -1.0)"), "rope_theta is out of range; got -1.0"},
    {"TieText", llama(R"("tie_word_embeddings": "no")"), "tie_word_embeddings is not a boolean; got \"no\""},
    {"BiasNumber", llama(R"("attention_bias": 1)"), "attention_bias is not a boolean; got 1"},
    {"ScalingText", llama(R"("rope_scaling": "linear")"), "rope_scaling is not an object; got \"linear\""},
    {"UnknownRope", llama(R"("rope_scaling": {"type": "mrope"})"),
     "rope_scaling.type \"mrope\" is not supported; expected default, linear, dynamic, llama3, yarn or "
     "longrope"},
    {"UnknownRopeOfV5", llama(R"("rope_parameters": {"rope_type": "proportional"})"),
     "rope_parameters.rope_type \"proportional\" is not supported"},
    {"YarnNoFactor", llama(R"("rope_scaling": {"type": "yarn"})"), "rope_scaling.factor is missing"},
    {"YarnNoPositions", llama(R"("rope_scaling": {"type": "yarn", "factor": 4.0})"),
     "max_position_embeddings is missing; the rope scaling is relative to it"},
    {"DynamicNoFactor", llama(R"("rope_scaling": {"rope_type": "dynamic"})"),
     "rope_scaling.factor is missing"},
    {"LongRopeNoFactors", llama(R"("rope_parameters": {"rope_type": "longrope"})"),
     "rope_parameters.short_factor is missing"},
    {"LongRopeText", llama(R"("rope_scaling": {"rope_type": "longrope", "short_factor": [1, "2"]})"),
     "rope_scaling.short_factor is not a list of numbers above 0; got [1,\"2\"]"},
    {"LongRopeLength", llama(R"("rope_scaling": {"rope_type": "longrope", "short_factor": [1, 2]})"),
     "rope_scaling.short_factor must have a number for each frequency; got 2, expected 8"},
    {"TypesDiffer", llama(R"("rope_scaling": {"rope_type": "linear", "type": "llama3"})"),
     "rope_scaling.rope_type and type differ"},
    {"LinearNoFactor", llama(R"("rope_scaling": {"rope_type": "linear"})"), "rope_scaling.factor is missing"},
    {"Llama3NoOriginal",
     llama(
         R"("rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4})"),
     "rope_scaling.original_max_position_embeddings is missing"},
    {"Llama3Order",
     llama(
         R"("rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4, "original_max_position_embeddings": 8192})"),
     "rope_scaling.high_freq_factor must be above low_freq_factor"},
    {"BothSpellings",
     llama(R"("rope_scaling": {"type": "default"}, "rope_parameters": {"rope_type": "default"})"),
     "rope_parameters and rope_scaling are both set"},
    {"ThetasDiffer",
     llama(R"("rope_theta": 1e4, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6})"),
     "rope_parameters.rope_theta differs"},
    {"ByAnotherLayerType", llama(R"("rope_parameters": {"sliding_attention": {"rope_type": "default"}})"),
     "rope_parameters.full_attention is not an object; got nothing"},
    {"PartialTooLarge", R"({"model_type": "glm", "partial_rotary_factor": 1.5})",
     "partial_rotary_factor must leave an even part of a head's 128 numbers; got 1.5"},
    {"PartialOdd", R"({"model_type": "gpt_neox", "rotary_pct": 0.01})",
     "rotary_pct must leave an even part of a head's 96 numbers; got 0.01"},
    {"LayerTypeUnknown",
     R"({"model_type": "gemma2", "num_hidden_layers": 1, "layer_types": ["chunked_attention"]})",
     "layer_types must have full_attention, or sliding_attention with a sliding_window, for each layer; got "
     "[\"chunked_attention\"]"},
    {"LayerTypeWithoutWindow",
     R"({"model_type": "ministral", "num_hidden_layers": 1, "sliding_window": null, "layer_types": ["sliding_attention"]})",
     "layer_types must have full_attention, or sliding_attention"},
    {"PartialRotary", llama(R"("partial_rotary_factor": 0.5)"),
     "partial_rotary_factor is not supported; got 0.5, expected 1"},
    {"PartialRotaryInside", llama(R"("rope_parameters": {"partial_rotary_factor": 0.75})"),
     "rope_parameters.partial_rotary_factor is not supported"},
    {"WindowZero", R"({"model_type": "mistral", "sliding_window": 0})",
     "sliding_window is out of range; got 0"},
    {"UnknownSwitch", llama(R"("use_magic_norm": true)"),
     "use_magic_norm is not supported in llama models; got true; remove the key if the weights do not depend "
     "on it"},
    {"SwitchOfAnotherFamily", llama(R"("final_logit_softcapping": 30)"),
     "final_logit_softcapping is not supported in llama models; got 30"},
    {"LayersWithoutRotary", llama(R"("no_rope_layers": [1, 1, 1, 0])"),
     "no_rope_layers is not supported in llama models; got [1,1,1,0]"},
    {"WindowOfAnotherFamily", llama(R"("sliding_window": 4096)"),
     "sliding_window is not supported in llama models; got 4096"},
    {"MultiplierOfAnotherFamily", llama(R"("embedding_multiplier": 12.0)"),
     "embedding_multiplier is not supported in llama models; got 12.0"},
    {"PositionsOfAnotherFamily", llama(R"("position_embedding_type": "alibi")"),
     "position_embedding_type is not supported in llama models; got \"alibi\"; remove the key if the weights "
     "do "
     "not depend on it"},
    {"NormOfAnotherFamily", llama(R"("norm_type": "LayerNorm")"),
     "norm_type is not supported in llama models; got \"LayerNorm\""},
    {"GateOfAnotherFamily", R"({"model_type": "qwen3", "attn_output_gate": true})",
     "attn_output_gate is not supported in qwen3 models; got true"},
    {"AnotherEpsilon", llama(R"("rms_norm_eps": 1e-5, "layer_norm_eps": 1e-6)"),
     "layer_norm_eps is not supported in llama models; got 1e-06"},
    {"UnknownRopeKey", llama(R"("rope_scaling": {"type": "linear", "factor": 2, "alpha": 1000})"),
     "rope_scaling.alpha is not supported in llama models; got 1000"},
    {"UnknownRopeKeyOfV5", llama(R"("rope_parameters": {"rope_type": "default", "twist": true})"),
     "rope_parameters.twist is not supported in llama models; got true"},
    {"UnknownKeyInside", R"({"model_type": "mpt", "attn_config": {"qk_gn": true}})",
     "attn_config.qk_gn is not supported in mpt models; got true"},
    {"SharesDiffer",
     R"({"model_type": "glm", "partial_rotary_factor": 0.5, "rope_parameters": {"partial_rotary_factor": 0.25}})",
     "rope_parameters.partial_rotary_factor differs from the one outside; got 0.25 and 0.5"},
    {"OriginalContextsDiffer",
     llama(
         R"("original_max_position_embeddings": 4096, "rope_scaling": {"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 8192})"),
     "rope_scaling.original_max_position_embeddings differs from the one outside; got 8192 and 4096"},
    {"ActivationsDiffer", R"({"model_type": "gemma", "hidden_act": "gelu", "hidden_activation": "silu"})",
     "hidden_activation and hidden_act differ"},
    {"LayerTypes",
     R"({"model_type": "mistral", "num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"]})",
     "layer_types is not what sliding_window and max_window_layers say"},
};

void expect_refusal(const std::string& text, const std::string& expected) {
  const std::string message = test::message_of(ErrorKind::kModel, [&] { parse(text); });
  EXPECT_TRUE(message.starts_with("[config.json] " + expected)) << message;
}

class BadModelConfig : public testing::TestWithParam<BadConfig> {};

TEST_P(BadModelConfig, IsRefusedByName) { expect_refusal(GetParam().text, GetParam().message); }

INSTANTIATE_TEST_SUITE_P(Table, BadModelConfig, testing::ValuesIn(kBadConfigs),
                         [](const auto& each) { return std::string(each.param.name); });

class RefusedByFamily : public testing::TestWithParam<test::RefusedConfig> {};

TEST_P(RefusedByFamily, IsRefusedByName) { expect_refusal(GetParam().config, GetParam().message); }

INSTANTIATE_TEST_SUITE_P(Fixtures, RefusedByFamily, testing::ValuesIn(test::kRefusedConfigs),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(ModelConfigDefaults, AreTransformersOwn) {
  const ModelSpec llama = parse(R"({"model_type": "llama"})");
  const AttentionSpec& attention = llama.layers[0].attention;
  EXPECT_EQ(std::tuple(llama.vocab_size, llama.hidden_size, llama.layers.size()),
            std::tuple(32000, 4096, 32));
  EXPECT_EQ(llama.layers[0].feed_forward.gate.out, 11008);
  EXPECT_EQ(std::tuple(attention.num_heads, attention.num_key_value_heads, attention.head_dim),
            std::tuple(32, 32, 128));
  EXPECT_EQ(std::tuple(llama.norm_eps, attention.rotary.theta, llama.max_position_embeddings),
            std::tuple(1e-6, 1e4, 2048));
  EXPECT_FALSE(llama.tie_word_embeddings || attention.query.bias || attention.output.bias ||
               llama.layers[0].feed_forward.gate.bias || attention.query_norm || attention.window);

  const ModelSpec mistral = parse(R"({"model_type": "mistral"})");
  EXPECT_EQ(mistral.layers[0].attention.num_key_value_heads, 8);
  EXPECT_EQ(windows(mistral), std::vector<std::int64_t>(32, 4096));
  EXPECT_EQ(windows(parse(R"({"model_type": "mistral", "sliding_window": null})")),
            std::vector<std::int64_t>(32, 0));

  const ModelSpec qwen2 = parse(R"({"model_type": "qwen2", "sliding_window": 32768})");
  EXPECT_TRUE(qwen2.layers[0].attention.query.bias && !qwen2.layers[0].attention.output.bias);
  EXPECT_EQ(windows(qwen2), std::vector<std::int64_t>(32, 0));
  EXPECT_EQ(qwen2.vocab_size, 151936);
  std::vector<std::int64_t> late(32, 0);
  std::fill(late.begin() + 28, late.end(), 4096);
  EXPECT_EQ(windows(parse(R"({"model_type": "qwen2", "use_sliding_window": true})")), late);

  const ModelSpec qwen3 = parse(R"({"model_type": "qwen3", "hidden_size": 1024, "attention_bias": true})");
  const AttentionSpec& heads = qwen3.layers[0].attention;
  EXPECT_TRUE(heads.query_norm && heads.key_norm && heads.query.bias && heads.output.bias);
  EXPECT_EQ(heads.head_dim, 128);
}

TEST(ModelConfigRope, ByLayerTypeEachLayerHasItsOwn) {
  const ModelSpec model = parse(R"({"model_type": "gemma3_text", "num_hidden_layers": 6, "rope_parameters": {
      "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
      "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}})");
  EXPECT_EQ(windows(model), (std::vector<std::int64_t>{4096, 4096, 4096, 4096, 4096, 0}));
  EXPECT_EQ(model.layers[0].attention.rotary, (RotarySpec{.theta = 1e4, .scaling = {}, .width = 256}));
  const RotarySpec& full = model.layers[5].attention.rotary;
  EXPECT_EQ(std::tuple(full.theta, full.scaling.type, full.scaling.factor),
            std::tuple(1e6, RopeScaling::Type::kLinear, 8));
}

// Its frequencies depend on a sequence's length beyond the original context, so there are no more positions.
TEST(ModelConfigRope, LongRopeEndsWithTheOriginalContext) {
  const std::string factors =
      R"("short_factor": [1, 1, 1, 1, 1, 1, 1, 1], "long_factor": [2, 2, 2, 2, 2, 2, 2, 2]})";
  const ModelSpec model = parse(llama(
      R"("max_position_embeddings": 131072, "original_max_position_embeddings": 4096, "rope_scaling": {"type": "longrope", )" +
      factors));
  EXPECT_EQ(model.max_position_embeddings, 4096);
  EXPECT_DOUBLE_EQ(model.layers[0].attention.rotary.scaling.attention_factor,
                   std::sqrt(1 + std::log(32.0) / std::log(4096.0)));
  EXPECT_EQ(parse(R"({"model_type": "phi3", "rope_scaling": null})").max_position_embeddings, 4096);
}

// The numbers are of ROPE_INIT_FUNCTIONS["longrope"] in transformers 4.57.1 and 5.24.0, whose rules differ
// where there is a factor; 0: that version fails.
TEST(ModelConfigRope, LongRopeHasTheAttentionFactorOfTheVersionThatSavedIt) {
  struct Case {
    std::string outside, inside;
    double version4, version5, phi3;
  };
  const std::string beside = R"("original_max_position_embeddings": 4096, )";
  const std::string within = R"(, "original_max_position_embeddings": 8192)", factor = R"(, "factor": 8.0)";
  const Case cases[] = {
      {beside, factor, 1.1902380714238083, 1.118033988749895, 1.118033988749895},
      {"", factor + within, 1.0846522890932808, 1.1094003924504583, 1.118033988749895},
      {beside, factor + within, 1.1902380714238083, 1.118033988749895, 1.118033988749895},
      {"", factor, 1.0846522890932808, 1.0846522890932808, 1.118033988749895},
      {beside, "", 1.1902380714238083, 1.1902380714238083, 1.1902380714238083},
      {"", within, 0, 1.1435437497937313, 1.1902380714238083},
  };
  for (const Case& each : cases) {
    const auto attention_factor = [&](const std::string& model_type, const std::string& spelling,
                                      const std::string& version) {
      const std::string config =
          R"({"model_type": ")" + model_type + R"(", "hidden_size": 64, "num_attention_heads": 4, )" +
          R"("max_position_embeddings": 131072, )" + version + each.outside + "\"" + spelling +
          R"(": {"rope_type": "longrope", "short_factor": [1, 1, 1, 1, 1, 1, 1, 1], )" +
          R"("long_factor": [2, 2, 2, 2, 2, 2, 2, 2])" + each.inside + "}}";
      SCOPED_TRACE(config);
      return parse(config).layers[0].attention.rotary.scaling.attention_factor;
    };
    const std::string version4 = R"("transformers_version": "4.57.1", )";
    const std::string version5 = R"("transformers_version": "5.24.0", )";
    if (each.version4 > 0) {
      EXPECT_DOUBLE_EQ(attention_factor("llama", "rope_scaling", version4), each.version4);
    }
    EXPECT_DOUBLE_EQ(attention_factor("llama", "rope_scaling", ""), each.version5);
    EXPECT_DOUBLE_EQ(attention_factor("llama", "rope_parameters", version5), each.version5);
    EXPECT_DOUBLE_EQ(attention_factor("phi3", "rope_parameters", version5), each.phi3);
  }
}

TEST(ModelConfigDropout, IsNotedWherePublishedModelsHaveIt) {
  const ModelSpec model = parse(R"({"model_type": "gpt2", "attn_pdrop": 0.1, "resid_pdrop": 0})");
  EXPECT_EQ(model.unused_settings, std::vector<std::string>{"attn_pdrop 0.1"});
}

TEST(ModelConfigKeys, WithoutEffectAreNamed) {
  EXPECT_EQ(parse(llama(R"("activation": "swiglu", "document_attention": true)")).unused_settings,
            std::vector<std::string>{"activation \"swiglu\""});
  EXPECT_EQ(parse(llama(R"("internal_version": "7b", "num_labels": 2, "mrope": true)")).unused_settings,
            (std::vector<std::string>{"internal_version \"7b\"", "mrope true"}));
  const ModelSpec linear = parse(llama(
      R"("rope_scaling": {"type": "linear", "factor": 2, "beta_fast": 32, "mscale": 0, "partial_rotary_factor": 1.0})"));
  EXPECT_EQ(linear.unused_settings, std::vector<std::string>{"rope_scaling.beta_fast 32"});
}

// What published folders have beside what is read; nothing of it changes what they compute.
TEST(ModelConfigKeys, ThatAreOffOrHarmlessAreAccepted) {
  const std::string configs[] = {
      llama(R"("use_qk_norm": false, "final_logit_softcapping": null, "num_shared_experts": 0, "moe": {},
               "residual_multiplier": 1.0, "norm_kind": "", "no_rope_layers": [])"),
      llama(R"("rope_interleaved": false, "is_llama_config": true, "pretraining_tp": 2, "model_max_length": 8,
               "torch_dtype": "bfloat16", "transformers.js_config": {"dtype": "q4"}, "unsloth_fixed": true,
               "_attn_implementation_autoset": true, "_flash_attn_2_enabled": true, "top_k": 50,
               "hidden_dropout": 0.1, "bos_token_id": 1, "initializer_range": 0.02, "_name_or_path": "x")"),
      llama(R"("use_sliding_window": false, "sliding_window": 32768, "max_window_layers": 21)"),
      llama(R"("rms_norm_eps": 1e-5, "layer_norm_epsilon": 1e-5)"),
      R"({"model_type": "qwen2", "sliding_window": 131072, "max_window_layers": 28, "use_mrope": false})",
      R"({"model_type": "gemma2", "hidden_act": "gelu_pytorch_tanh", "cache_implementation": "hybrid"})",
      R"({"model_type": "phi3", "original_max_position_embeddings": 4096, "full_attn_mod": 1,
          "interpolate_factor": 1, "lm_head_bias": false})",
      R"({"model_type": "phi", "rotary_dim": 32})",
      R"({"model_type": "phi3", "partial_rotary_factor": 0.75,
          "rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.75}})",
      R"({"model_type": "starcoder2", "mlp_type": "default", "norm_type": "layer_norm",
          "layer_norm_epsilon": 1e-5, "attention_softmax_in_fp32": true, "scale_attn_weights": true})",
      R"({"model_type": "cohere2", "order_of_interleaved_layers": "local_attn_first", "layer_switch": 4,
          "position_embedding_type": "rope_gptj", "rotary_pct": 1.0, "use_gated_activation": true,
          "use_parallel_block": true, "use_embedding_sharing": true, "use_parallel_embedding": false})",
      R"({"model_type": "falcon", "num_attention_heads": 64, "hidden_size": 4096, "alibi": true,
          "rope_theta": 10000.0})",
      R"({"model_type": "bloom", "masked_softmax_fusion": true, "offset_alibi": 100, "skip_bias_add": true})",
  };
  for (const std::string& config : configs)
    EXPECT_EQ(parse(config).unused_settings, std::vector<std::string>()) << config;
}

TEST(ModelConfig, GeluOfGemmaIsTheFormByTanh) {
  for (const char* config : {R"({"model_type": "gemma", "hidden_act": "gelu"})", R"({"model_type": "gemma"})",
                             R"({"model_type": "gemma", "hidden_act": "gelu",
                                 "hidden_activation": "gelu_pytorch_tanh"})"})
    EXPECT_EQ(parse(config).layers[0].feed_forward.activation, Activation::kGeluTanh) << config;
  EXPECT_EQ(parse(R"({"model_type": "gemma", "hidden_act": "silu"})").layers[0].feed_forward.activation,
            Activation::kSilu);
}

TEST(ModelConfigRope, BothSpellingsMeanTheSame) {
  const std::string inner =
      R"("factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 8192)";
  for (const std::string& text :
       {llama(R"("rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", )" + inner + "}"),
        llama(R"("rope_theta": 5e5, "rope_scaling": {"type": "llama3", )" + inner + "}"),
        llama(R"("rope_parameters": {"rope_theta": 5e5, "rope_type": "llama3", )" + inner + "}")}) {
    const RotarySpec rotary = parse(text).layers.back().attention.rotary;
    EXPECT_EQ(rotary.theta, 5e5);
    EXPECT_EQ(rotary.scaling.type, RopeScaling::Type::kLlama3);
    EXPECT_EQ(std::tuple(rotary.scaling.factor, rotary.scaling.original_max_position_embeddings),
              std::tuple(8, 8192));
  }
}

// As transformers 5.24 writes them: dtype, rope_parameters, layer_types, keys of null.
TEST(ModelConfig, ReadsWhatTransformers5Saves) {
  const std::string sizes =
      R"("attention_dropout": 0.0, "dtype": "bfloat16", "hidden_act": "silu", "hidden_size": 48,
         "intermediate_size": 80, "max_position_embeddings": 256, "num_attention_heads": 4,
         "num_hidden_layers": 3, "num_key_value_heads": 2, "pad_token_id": null, "rms_norm_eps": 1e-06,
         "rope_parameters": {"rope_theta": 500000.0, "rope_type": "default"},
         "transformers_version": "5.24.0", "vocab_size": 97})";
  const auto family = [&](const std::string& more) { return parse("{" + more + ", " + sizes); };
  const ModelSpec specs[] = {
      family(R"("model_type": "llama", "head_dim": 12, "pretraining_tp": 1, "mlp_bias": false)"),
      family(R"("model_type": "mistral", "head_dim": 12, "sliding_window": 7)"),
      family(
          R"("model_type": "qwen2", "sliding_window": 5, "use_sliding_window": true, "max_window_layers": 1,
                "layer_types": ["full_attention", "sliding_attention", "sliding_attention"])"),
      family(R"("model_type": "qwen3", "head_dim": 128, "sliding_window": null, "use_sliding_window": false,
                "layer_types": ["full_attention", "full_attention", "full_attention"])")};
  for (const ModelSpec& spec : specs)
    EXPECT_EQ(spec.layers[2].attention.rotary.theta, 5e5) << spec.model_type;
  EXPECT_EQ(windows(specs[0]), (std::vector<std::int64_t>{0, 0, 0}));
  EXPECT_EQ(windows(specs[1]), (std::vector<std::int64_t>{7, 7, 7}));
  EXPECT_EQ(windows(specs[2]), (std::vector<std::int64_t>{0, 5, 5}));
  EXPECT_EQ(windows(specs[3]), (std::vector<std::int64_t>{0, 0, 0}));
}

// Where transformers 5 writes what transformers 4 writes otherwise.
TEST(ModelConfig, ReadsTheOtherNamesOfTransformers5) {
  const ModelSpec moe = parse(R"({"model_type": "qwen3_moe", "num_hidden_layers": 1, "num_local_experts": 6,
                                  "num_experts_per_tok": 2})");
  EXPECT_EQ(moe.layers[0].experts->num_experts(), 6);
  const ModelSpec exaone = parse(R"({"model_type": "exaone", "num_hidden_layers": 3, "hidden_act": "gelu",
                                     "rms_norm_eps": 1e-4, "attention_bias": false})");
  EXPECT_EQ(std::tuple(exaone.layers.size(), exaone.norm_eps, exaone.layers[0].feed_forward.activation),
            std::tuple(3, 1e-4, Activation::kGelu));
  for (const char* type : {"attention", "full_attention"}) {
    const ModelSpec granite = parse(R"({"model_type": "granitemoehybrid", "num_hidden_layers": 1,
                                        "num_local_experts": 0, "layer_types": [")" +
                                    std::string(type) + R"("]})");
    EXPECT_EQ(windows(granite), std::vector<std::int64_t>{0}) << type;
  }
}

// As bigscience/bloom-560m, mosaicml/mpt-7b, internlm/internlm2_5-7b, internlm/internlm3-8b-instruct and
// LGAI-EXAONE/EXAONE-3.0-7.8B-Instruct spell it, as far as it matters.
TEST(ModelConfig, ReadsWhatIsPublished) {
  const std::pair<const char*, const char*> configs[] = {
      {R"({"model_type": "bloom", "n_embed": 1024, "n_layer": 24, "num_attention_heads": 16,
           "vocab_size": 250880, "seq_length": 2048, "hidden_dropout": 0.0, "n_inner": null})",
       "bloom, 24 layers of width 1024, 16 heads of 64 (16 for keys and values), MLP 4096, 250880 ids, 2048 "
       "positions, head tied to the embedding"},
      {R"({"model_type": "mpt", "d_model": 4096, "n_heads": 32, "n_layers": 32, "max_seq_len": 2048,
           "vocab_size": 50432, "expansion_ratio": 4, "no_bias": true, "resid_pdrop": 0, "emb_pdrop": 0,
           "learned_pos_emb": true, "logit_scale": null, "norm_type": "low_precision_layernorm",
           "attn_config": {"alibi": true, "alibi_bias_max": 8, "attn_impl": "torch", "attn_pdrop": 0,
             "attn_type": "multihead_attention", "attn_uses_sequence_id": false, "clip_qkv": null,
             "prefix_lm": false, "qk_ln": false, "softmax_scale": null}})",
       "mpt, 32 layers of width 4096, 32 heads of 128 (32 for keys and values), MLP 16384, 50432 ids, 2048 "
       "positions, head tied to the embedding"},
      {R"({"model_type": "internlm2", "hidden_size": 4096, "num_hidden_layers": 32, "intermediate_size": 14336,
           "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 92544, "bias": false,
           "max_position_embeddings": 32768, "rope_theta": 1000000,
           "rope_scaling": {"type": "dynamic", "factor": 2.0}, "tie_word_embeddings": false})",
       "internlm2, 32 layers of width 4096, 32 heads of 128 (8 for keys and values), MLP 14336, 92544 ids, "
       "32768 positions"},
      {R"({"model_type": "internlm3", "hidden_size": 4096, "num_hidden_layers": 48, "intermediate_size": 10240,
           "num_attention_heads": 32, "num_key_value_heads": 2, "head_dim": 128, "vocab_size": 128512,
           "bias": false, "qkv_bias": false, "max_position_embeddings": 32768, "rope_theta": 50000000,
           "rope_scaling": {"factor": 6.0, "rope_type": "dynamic"}, "tie_word_embeddings": false})",
       "internlm3, 48 layers of width 4096, 32 heads of 128 (2 for keys and values), MLP 10240, 128512 ids, "
       "32768 positions"},
      {R"({"model_type": "exaone", "hidden_size": 4096, "num_layers": 32, "intermediate_size": 14336,
           "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 102400, "embed_dropout": 0.0,
           "activation_function": "silu", "max_position_embeddings": 4096, "rope_scaling": null,
           "rope_theta": 500000.0, "layer_norm_epsilon": 1e-05, "tie_word_embeddings": false})",
       "exaone, 32 layers of width 4096, 32 heads of 128 (8 for keys and values), MLP 14336, 102400 ids, "
       "4096 positions"},
  };
  for (const auto& [config, expected] : configs) EXPECT_EQ(summary(parse(config)), expected);
}

TEST(ModelOptions, NamesMustNotBeEmpty) {
  EXPECT_NO_THROW(ModelOptions().validate());
  EXPECT_NO_THROW(ReferenceOptions().validate());
  ModelOptions model;
  model.model_name_or_path = "";
  ReferenceOptions reference;
  reference.model_name_or_path = std::string("a\0b", 3);
  const auto message = [](const auto& options) -> std::string {
    try {
      options.validate();
      return "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      return error.what();
    }
  };
  EXPECT_TRUE(message(model).starts_with("[model.model_name_or_path] is empty"));
  EXPECT_TRUE(message(reference).starts_with("[reference.model_name_or_path] holds a zero byte"));
}

}  // namespace
}  // namespace ddro::models
