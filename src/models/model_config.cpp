#include "ddro/models/model_config.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ddro/base/error.h"

namespace ddro::models {
namespace {

// What a family's configuration class in transformers 4.57 assumes for an absent key, and what its layers
// have.
struct Family {
  const char* model_type;
  std::int64_t vocab_size, intermediate_size, max_position_embeddings;
  std::optional<std::int64_t> num_key_value_heads;  // none: as many as query heads
  std::optional<std::int64_t> head_dim;             // none: hidden size / heads
  bool qkv_bias_always, attention_bias_key, mlp_bias_key, qk_norm;
  bool window_always;  // sliding_window counts by itself (mistral), else only with use_sliding_window
  bool window_key;
};

constexpr Family kFamilies[] = {
    {"llama", 32000, 11008, 2048, std::nullopt, std::nullopt, false, true, true, false, false, false},
    {"mistral", 32000, 14336, 131072, 8, std::nullopt, false, false, false, false, true, true},
    {"qwen2", 151936, 22016, 32768, 32, std::nullopt, true, false, false, false, false, true},
    {"qwen3", 151936, 22016, 32768, 32, 128, false, true, false, true, false, true},
};

constexpr std::int64_t kMaxSize = std::int64_t{1} << 24;  // vocabulary, widths, positions
constexpr std::int64_t kMaxLayers = std::int64_t{1} << 12;
constexpr std::int64_t kMaxHeads = std::int64_t{1} << 12;

std::string shown(const Json& value) { return printable(value.dump(), 60); }

// One object of the configuration, read key by key. A null counts as absent, as in transformers.
class Reader {
 public:
  Reader(const Json& object, std::string where, std::string prefix = "")
      : object_(object), where_(std::move(where)), prefix_(std::move(prefix)) {}

  const Json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  bool has(const char* key) const { return object_.contains(key); }

  [[noreturn]] void fail(const std::string& key, const std::string& what) const {
    throw model_error("[" + where_ + "] " + prefix_ + key + " " + what);
  }

  std::optional<std::int64_t> integer(const char* key, std::int64_t min, std::int64_t max) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    const bool fits =
        value->is_number_integer() &&
        (!value->is_number_unsigned() || value->get<std::uint64_t>() <= static_cast<std::uint64_t>(max));
    if (!fits || value->get<std::int64_t>() < min || value->get<std::int64_t>() > max) {
      fail(key, "is out of range; got " + shown(*value) + ", expected an integer from " +
                    std::to_string(min) + " to " + std::to_string(max));
    }
    return value->get<std::int64_t>();
  }

  std::optional<double> positive(const char* key) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_number() || !std::isfinite(value->get<double>()) || value->get<double>() <= 0) {
      fail(key, "is out of range; got " + shown(*value) + ", expected a number above 0");
    }
    return value->get<double>();
  }

  double required_positive(const char* key) const {
    const auto value = positive(key);
    if (!value) fail(key, "is missing");
    return *value;
  }

  bool boolean(const char* key, bool otherwise) const {
    const Json* value = find(key);
    if (!value) return otherwise;
    if (!value->is_boolean()) fail(key, "is not a boolean; got " + shown(*value));
    return value->get<bool>();
  }

  std::optional<std::string> text(const char* key) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_string()) fail(key, "is not a string; got " + shown(*value));
    return value->get<std::string>();
  }

  const Reader object(const char* key) const {
    const Json* value = find(key);
    if (!value || !value->is_object())
      fail(key, "is not an object; got " + (value ? shown(*value) : "nothing"));
    return {*value, where_, prefix_ + key + "."};
  }

 private:
  const Json& object_;
  std::string where_;
  std::string prefix_;
};

const Family& find_family(const Reader& reader) {
  const auto name = reader.text("model_type");
  if (!name) reader.fail("model_type", "is missing; this does not look like a Hugging Face config.json");
  const auto* const family = std::find_if(std::begin(kFamilies), std::end(kFamilies),
                                          [&](const Family& each) { return *name == each.model_type; });
  if (family == std::end(kFamilies)) {
    reader.fail("model_type",
                "\"" + printable(*name) + "\" is not supported; expected llama, mistral, qwen2 or qwen3");
  }
  return *family;
}

void refuse_what_is_not_built(const Reader& reader) {
  if (reader.find("quantization_config")) {
    reader.fail("quantization_config", "is set; quantized weights are not supported, expected a float model");
  }
  for (const char* key : {"num_experts", "num_local_experts", "n_routed_experts"}) {
    if (reader.find(key)) reader.fail(key, "is set; mixtures of experts are not supported");
  }
  const auto activation = reader.text("hidden_act");
  if (activation && *activation != "silu" && *activation != "swish") {
    reader.fail("hidden_act", "\"" + printable(*activation) + "\" is not supported; expected silu");
  }
  const Json* dropout = reader.find("attention_dropout");
  if (dropout && (!dropout->is_number() || dropout->get<double>() != 0)) {
    reader.fail("attention_dropout",
                "is not supported; got " + shown(*dropout) + ", expected 0; set it to 0 to train without");
  }
}

void refuse_partial_rotary(const Reader& reader) {
  const Json* factor = reader.find("partial_rotary_factor");
  if (factor && (!factor->is_number() || factor->get<double>() != 1)) {
    reader.fail("partial_rotary_factor", "is not supported; got " + shown(*factor) + ", expected 1");
  }
}

RopeScaling parse_rope_scaling(const Reader& rope) {
  refuse_partial_rotary(rope);
  const auto type = rope.text("rope_type");
  const auto old_type = rope.text("type");
  if (type && old_type && *type != *old_type)
    rope.fail("rope_type",
              "and type differ: \"" + printable(*type) + "\" and \"" + printable(*old_type) + "\"");
  const std::string name = type ? *type : old_type.value_or("default");
  RopeScaling scaling;
  if (name == "default") return scaling;
  if (name == "linear") {
    scaling.type = RopeScaling::Type::kLinear;
    scaling.factor = rope.required_positive("factor");
    return scaling;
  }
  if (name != "llama3") {
    rope.fail(type ? "rope_type" : "type",
              "\"" + printable(name) + "\" is not supported; expected default, linear or llama3");
  }
  scaling.type = RopeScaling::Type::kLlama3;
  scaling.factor = rope.required_positive("factor");
  scaling.low_freq_factor = rope.required_positive("low_freq_factor");
  scaling.high_freq_factor = rope.required_positive("high_freq_factor");
  scaling.original_max_position_embeddings = rope.required_positive("original_max_position_embeddings");
  if (scaling.high_freq_factor <= scaling.low_freq_factor) {
    rope.fail("high_freq_factor", "must be above low_freq_factor; got " +
                                      std::to_string(scaling.high_freq_factor) + " and " +
                                      std::to_string(scaling.low_freq_factor));
  }
  return scaling;
}

// Both spellings: rope_theta with rope_scaling, and the newer rope_parameters that holds them together.
void parse_rope(const Reader& reader, ModelConfig& config) {
  refuse_partial_rotary(reader);
  const auto theta = reader.positive("rope_theta");
  if (theta) config.rope_theta = *theta;
  if (reader.find("rope_scaling")) config.rope_scaling = parse_rope_scaling(reader.object("rope_scaling"));
  if (!reader.find("rope_parameters")) return;
  if (reader.find("rope_scaling"))
    reader.fail("rope_parameters", "and rope_scaling are both set; expected one of them");
  const Reader rope = reader.object("rope_parameters");
  for (const char* key : {"full_attention", "sliding_attention"}) {
    if (rope.find(key)) rope.fail(key, "is set; rotary parameters by layer type are not supported");
  }
  config.rope_scaling = parse_rope_scaling(rope);
  const auto inner_theta = rope.positive("rope_theta");
  if (theta && inner_theta && *theta != *inner_theta) {
    rope.fail("rope_theta", "differs from the rope_theta outside; got " + std::to_string(*inner_theta) +
                                " and " + std::to_string(*theta));
  }
  if (inner_theta) config.rope_theta = *inner_theta;
}

void parse_window(const Reader& reader, const Family& family, ModelConfig& config) {
  if (family.window_key) {
    const bool used = family.window_always || reader.boolean("use_sliding_window", false);
    const auto window = reader.integer("sliding_window", 1, std::numeric_limits<std::int32_t>::max());
    // 4096 is the classes' default; a null switches the window off.
    if (used)
      config.sliding_window =
          window || reader.has("sliding_window") ? window : std::optional<std::int64_t>(4096);
  }
  if (!family.window_always && config.sliding_window) {
    config.window_from_layer = reader.integer("max_window_layers", 0, kMaxLayers).value_or(28);
  }
  const Json* types = reader.find("layer_types");
  if (!types) return;
  const auto expected = [&](std::int64_t layer) {
    return config.sliding_window && layer >= config.window_from_layer ? "sliding_attention"
                                                                      : "full_attention";
  };
  bool fits = types->is_array() && types->size() == static_cast<size_t>(config.num_hidden_layers);
  for (std::int64_t i = 0; fits && i < config.num_hidden_layers; ++i) {
    const Json& type = (*types)[static_cast<size_t>(i)];
    fits = type.is_string() && type.get<std::string>() == expected(i);
  }
  if (!fits) {
    reader.fail("layer_types",
                "is not what sliding_window and max_window_layers say; other patterns are not supported");
  }
}

void parse_heads(const Reader& reader, const Family& family, ModelConfig& config) {
  config.num_attention_heads = reader.integer("num_attention_heads", 1, kMaxHeads).value_or(32);
  const bool null_heads = reader.has("num_key_value_heads");
  config.num_key_value_heads =
      reader.integer("num_key_value_heads", 1, kMaxHeads)
          .value_or(null_heads ? config.num_attention_heads
                               : family.num_key_value_heads.value_or(config.num_attention_heads));
  if (config.num_attention_heads % config.num_key_value_heads != 0) {
    reader.fail("num_key_value_heads", "must divide num_attention_heads; got " +
                                           std::to_string(config.num_key_value_heads) + " and " +
                                           std::to_string(config.num_attention_heads));
  }
  const auto width = reader.integer("head_dim", 1, 4096);
  if (width || family.head_dim) {
    config.head_dim = width.value_or(family.head_dim.value_or(0));
  } else if (config.hidden_size % config.num_attention_heads != 0) {
    reader.fail("hidden_size", "must be divisible by num_attention_heads when head_dim is absent; got " +
                                   std::to_string(config.hidden_size) + " and " +
                                   std::to_string(config.num_attention_heads));
  } else {
    config.head_dim = config.hidden_size / config.num_attention_heads;
  }
  if (config.head_dim % 2 != 0)
    reader.fail("head_dim", "must be even; got " + std::to_string(config.head_dim));
}

}  // namespace

std::int64_t ModelConfig::num_trunk_matmul_parameters() const {
  const std::int64_t attention = 2 * (num_attention_heads + num_key_value_heads) * head_dim * hidden_size;
  return num_hidden_layers * (attention + 3 * intermediate_size * hidden_size);
}

ModelConfig parse_model_config(const Json& json, const std::string& where) {
  if (!json.is_object()) throw model_error("[" + where + "] is not a JSON object");
  const Reader reader(json, where);
  const Family& family = find_family(reader);
  refuse_what_is_not_built(reader);

  ModelConfig config;
  config.model_type = family.model_type;
  config.vocab_size = reader.integer("vocab_size", 1, kMaxSize).value_or(family.vocab_size);
  config.hidden_size = reader.integer("hidden_size", 1, kMaxSize).value_or(4096);
  config.intermediate_size =
      reader.integer("intermediate_size", 1, kMaxSize).value_or(family.intermediate_size);
  config.num_hidden_layers = reader.integer("num_hidden_layers", 1, kMaxLayers).value_or(32);
  config.max_position_embeddings =
      reader.integer("max_position_embeddings", 1, std::numeric_limits<std::int32_t>::max())
          .value_or(family.max_position_embeddings);
  parse_heads(reader, family, config);
  config.rms_norm_eps = reader.positive("rms_norm_eps").value_or(1e-6);
  parse_rope(reader, config);
  config.tie_word_embeddings = reader.boolean("tie_word_embeddings", false);
  const bool attention_bias = family.attention_bias_key && reader.boolean("attention_bias", false);
  config.qkv_bias = family.qkv_bias_always || attention_bias;
  config.output_bias = attention_bias;
  config.mlp_bias = family.mlp_bias_key && reader.boolean("mlp_bias", false);
  config.qk_norm = family.qk_norm;
  parse_window(reader, family, config);
  return config;
}

Json describe(const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  return {{"model_type", config.model_type},
          {"vocab_size", config.vocab_size},
          {"hidden_size", config.hidden_size},
          {"intermediate_size", config.intermediate_size},
          {"num_hidden_layers", config.num_hidden_layers},
          {"num_attention_heads", config.num_attention_heads},
          {"num_key_value_heads", config.num_key_value_heads},
          {"head_dim", config.head_dim},
          {"max_position_embeddings", config.max_position_embeddings},
          {"rms_norm_eps", config.rms_norm_eps},
          {"rope_theta", config.rope_theta},
          {"rope_scaling",
           {static_cast<int>(scaling.type), scaling.factor, scaling.low_freq_factor, scaling.high_freq_factor,
            scaling.original_max_position_embeddings}},
          {"tie_word_embeddings", config.tie_word_embeddings},
          {"qkv_bias", config.qkv_bias},
          {"output_bias", config.output_bias},
          {"mlp_bias", config.mlp_bias},
          {"qk_norm", config.qk_norm},
          {"sliding_window", config.sliding_window ? Json(*config.sliding_window) : Json(nullptr)},
          {"window_from_layer", config.window_from_layer}};
}

}  // namespace ddro::models
