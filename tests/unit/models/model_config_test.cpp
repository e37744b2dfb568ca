#include "ddro/models/model_config.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "ddro/base/error.h"
#include "ddro/models/model_options.h"

namespace ddro::models {
namespace {

ModelConfig parse(const std::string& text) {
  return parse_model_config(parse_json(text, "config.json", ErrorKind::kModel), "config.json");
}

// {"model_type": "llama"} with sizes that fit, plus `more`.
std::string llama(const std::string& more) {
  return R"({"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4)" +
         (more.empty() ? "" : ", " + more) + "}";
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
    {"UnknownFamily", R"({"model_type": "gpt2"})",
     "model_type \"gpt2\" is not supported; expected llama, mistral, qwen2 or qwen3"},
    {"MixtureFamily", R"({"model_type": "qwen3_moe"})", "model_type \"qwen3_moe\" is not supported"},
    {"ControlCharacters", R"({"model_type": "a\nb"})", "model_type \"a\\nb\" is not supported"},
    {"Experts", llama(R"("num_local_experts": 8)"), "num_local_experts is set; mixtures of experts"},
    {"Quantized", llama(R"("quantization_config": {"bits": 4})"),
     "quantization_config is set; quantized weights"},
    {"Activation", llama(R"("hidden_act": "gelu")"), "hidden_act \"gelu\" is not supported; expected silu"},
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
    {"Yarn", llama(R"("rope_scaling": {"type": "yarn", "factor": 4.0})"),
     "rope_scaling.type \"yarn\" is not supported"},
    {"Dynamic", llama(R"("rope_scaling": {"rope_type": "dynamic", "factor": 4.0})"),
     "rope_scaling.rope_type \"dynamic\" is not supported"},
    {"LongRope", llama(R"("rope_parameters": {"rope_type": "longrope"})"),
     "rope_parameters.rope_type \"longrope\" is not supported"},
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
    {"ByLayerType", llama(R"("rope_parameters": {"full_attention": {"rope_type": "default"}})"),
     "rope_parameters.full_attention is set; rotary parameters by layer type"},
    {"PartialRotary", llama(R"("partial_rotary_factor": 0.5)"),
     "partial_rotary_factor is not supported; got 0.5, expected 1"},
    {"PartialRotaryInside", llama(R"("rope_parameters": {"partial_rotary_factor": 0.75})"),
     "rope_parameters.partial_rotary_factor is not supported"},
    {"WindowZero", R"({"model_type": "mistral", "sliding_window": 0})",
     "sliding_window is out of range; got 0"},
    {"LayerTypes",
     R"({"model_type": "qwen2", "num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"]})",
     "layer_types is not what sliding_window and max_window_layers say"},
};

class BadModelConfig : public testing::TestWithParam<BadConfig> {};

TEST_P(BadModelConfig, IsRefusedByName) {
  try {
    parse(GetParam().text);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kModel);
    const std::string message = error.what();
    EXPECT_TRUE(message.starts_with("[config.json] " + GetParam().message)) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

INSTANTIATE_TEST_SUITE_P(Table, BadModelConfig, testing::ValuesIn(kBadConfigs),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(ModelConfigDefaults, AreTransformersOwn) {
  const ModelConfig llama = parse(R"({"model_type": "llama"})");
  EXPECT_EQ(std::tuple(llama.vocab_size, llama.hidden_size, llama.intermediate_size, llama.num_hidden_layers),
            std::tuple(32000, 4096, 11008, 32));
  EXPECT_EQ(std::tuple(llama.num_attention_heads, llama.num_key_value_heads, llama.head_dim),
            std::tuple(32, 32, 128));
  EXPECT_EQ(std::tuple(llama.rms_norm_eps, llama.rope_theta, llama.max_position_embeddings),
            std::tuple(1e-6, 1e4, 2048));
  EXPECT_FALSE(llama.tie_word_embeddings || llama.qkv_bias || llama.output_bias || llama.mlp_bias ||
               llama.qk_norm);
  EXPECT_FALSE(llama.sliding_window);

  const ModelConfig mistral = parse(R"({"model_type": "mistral"})");
  EXPECT_EQ(
      std::tuple(mistral.num_key_value_heads, mistral.sliding_window.value_or(0), mistral.window_from_layer),
      std::tuple(8, 4096, 0));
  EXPECT_FALSE(parse(R"({"model_type": "mistral", "sliding_window": null})").sliding_window);

  const ModelConfig qwen2 = parse(R"({"model_type": "qwen2", "sliding_window": 32768})");
  EXPECT_TRUE(qwen2.qkv_bias && !qwen2.output_bias && !qwen2.sliding_window);
  EXPECT_EQ(qwen2.vocab_size, 151936);
  const ModelConfig windowed = parse(R"({"model_type": "qwen2", "use_sliding_window": true})");
  EXPECT_EQ(std::tuple(windowed.sliding_window.value_or(0), windowed.window_from_layer),
            std::tuple(4096, 28));

  const ModelConfig qwen3 = parse(R"({"model_type": "qwen3", "hidden_size": 1024, "attention_bias": true})");
  EXPECT_TRUE(qwen3.qk_norm && qwen3.qkv_bias && qwen3.output_bias);
  EXPECT_EQ(qwen3.head_dim, 128);
}

TEST(ModelConfigRope, BothSpellingsMeanTheSame) {
  const std::string inner =
      R"("factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 8192)";
  for (const std::string& text :
       {llama(R"("rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", )" + inner + "}"),
        llama(R"("rope_theta": 5e5, "rope_scaling": {"type": "llama3", )" + inner + "}"),
        llama(R"("rope_parameters": {"rope_theta": 5e5, "rope_type": "llama3", )" + inner + "}")}) {
    const ModelConfig config = parse(text);
    EXPECT_EQ(config.rope_theta, 5e5);
    EXPECT_EQ(config.rope_scaling.type, RopeScaling::Type::kLlama3);
    EXPECT_EQ(std::tuple(config.rope_scaling.factor, config.rope_scaling.original_max_position_embeddings),
              std::tuple(8, 8192));
  }
}

TEST(ModelConfigFlops, CountsMatmulParametersOfTheTrunk) {
  const ModelConfig config = parse(R"({"model_type": "llama", "hidden_size": 576, "intermediate_size": 1536,
      "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64})");
  EXPECT_EQ(config.num_trunk_matmul_parameters(), 30 * (2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536));
}

// What decides a forward is in the description, so that caches of different models are kept apart.
TEST(DescribeModelConfig, TellsConfigurationsApart) {
  const ModelConfig base = parse(llama(""));
  EXPECT_EQ(describe(base), describe(parse(llama(""))));
  const std::vector<std::function<void(ModelConfig&)>> changes = {
      [](ModelConfig& c) { c.model_type = "mistral"; },
      [](ModelConfig& c) { ++c.vocab_size; },
      [](ModelConfig& c) { ++c.hidden_size; },
      [](ModelConfig& c) { ++c.intermediate_size; },
      [](ModelConfig& c) { ++c.num_hidden_layers; },
      [](ModelConfig& c) { ++c.num_attention_heads; },
      [](ModelConfig& c) { ++c.num_key_value_heads; },
      [](ModelConfig& c) { ++c.head_dim; },
      [](ModelConfig& c) { ++c.max_position_embeddings; },
      [](ModelConfig& c) { c.rms_norm_eps = 1e-5; },
      [](ModelConfig& c) { c.rope_theta = 5e5; },
      [](ModelConfig& c) { c.rope_scaling.type = RopeScaling::Type::kLinear; },
      [](ModelConfig& c) { c.rope_scaling.factor = 2; },
      [](ModelConfig& c) { c.rope_scaling.low_freq_factor = 2; },
      [](ModelConfig& c) { c.rope_scaling.high_freq_factor = 2; },
      [](ModelConfig& c) { c.rope_scaling.original_max_position_embeddings = 2; },
      [](ModelConfig& c) { c.tie_word_embeddings = !c.tie_word_embeddings; },
      [](ModelConfig& c) { c.qkv_bias = !c.qkv_bias; },
      [](ModelConfig& c) { c.output_bias = !c.output_bias; },
      [](ModelConfig& c) { c.mlp_bias = !c.mlp_bias; },
      [](ModelConfig& c) { c.qk_norm = !c.qk_norm; },
      [](ModelConfig& c) { c.sliding_window = 16; },
      [](ModelConfig& c) { ++c.window_from_layer; }};
  std::set<std::string> descriptions = {describe(base).dump()};
  for (const auto& change : changes) {
    ModelConfig config = base;
    change(config);
    descriptions.insert(describe(config).dump());
  }
  EXPECT_EQ(descriptions.size(), changes.size() + 1);
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
