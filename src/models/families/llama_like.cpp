#include "models/families/llama_like.h"

#include "ddro/base/error.h"
#include "models/families/rotary_config.h"

namespace ddro::models {
namespace {

void refuse_what_is_not_built(const ConfigReader& config) {
  for (const char* key : {"num_experts", "num_local_experts", "n_routed_experts"}) {
    if (config.find(key)) config.fail(key, "is set; mixtures of experts are not supported");
  }
  const auto activation = config.text("hidden_act");
  if (activation && *activation != "silu" && *activation != "swish") {
    config.fail("hidden_act", "\"" + printable(*activation) + "\" is not supported; expected silu");
  }
  const Json* dropout = config.find("attention_dropout");
  if (dropout && (!dropout->is_number() || dropout->get<double>() != 0)) {
    config.fail("attention_dropout",
                "is not supported; got " + shown(*dropout) + ", expected 0; set it to 0 to train without");
  }
}

std::int64_t read_key_value_heads(const ConfigReader& config, std::int64_t num_heads,
                                  const LlamaLikeDefaults& defaults) {
  const bool is_null = config.has("num_key_value_heads");
  const std::int64_t otherwise = is_null ? num_heads : defaults.num_key_value_heads.value_or(num_heads);
  const std::int64_t heads = config.integer("num_key_value_heads", 1, kMaxHeads).value_or(otherwise);
  if (num_heads % heads != 0) {
    config.fail("num_key_value_heads", "must divide num_attention_heads; got " + std::to_string(heads) +
                                           " and " + std::to_string(num_heads));
  }
  return heads;
}

std::int64_t read_head_dim(const ConfigReader& config, std::int64_t hidden_size, std::int64_t num_heads,
                           const LlamaLikeDefaults& defaults) {
  std::optional<std::int64_t> width = config.integer("head_dim", 1, 4096);
  if (!width) width = defaults.head_dim;
  if (!width && hidden_size % num_heads != 0) {
    config.fail("hidden_size", "must be divisible by num_attention_heads when head_dim is absent; got " +
                                   std::to_string(hidden_size) + " and " + std::to_string(num_heads));
  }
  const std::int64_t head_dim = width.value_or(hidden_size / num_heads);
  if (head_dim % 2 != 0) config.fail("head_dim", "must be even; got " + std::to_string(head_dim));
  return head_dim;
}

// Numbers alone; names and projections follow with each layer's place.
AttentionSpec read_attention(const ConfigReader& config, std::int64_t hidden_size,
                             const LlamaLikeDefaults& defaults) {
  AttentionSpec attention;
  attention.num_heads = config.integer("num_attention_heads", 1, kMaxHeads).value_or(32);
  attention.num_key_value_heads = read_key_value_heads(config, attention.num_heads, defaults);
  attention.head_dim = read_head_dim(config, hidden_size, attention.num_heads, defaults);
  attention.rotary = read_rotary(config);
  return attention;
}

AttentionSpec attention_at(AttentionSpec attention, const std::string& name, std::int64_t width,
                           const LlamaLikeParts& parts) {
  const std::int64_t queries = attention.num_heads * attention.head_dim;
  const std::int64_t keys = attention.num_key_value_heads * attention.head_dim;
  attention.query = {name + ".q_proj", width, queries, parts.qkv_bias};
  attention.key = {name + ".k_proj", width, keys, parts.qkv_bias};
  attention.value = {name + ".v_proj", width, keys, parts.qkv_bias};
  attention.output = {name + ".o_proj", queries, width, parts.output_bias};
  if (parts.qk_norm) {
    attention.query_norm = NormSpec{name + ".q_norm", attention.head_dim};
    attention.key_norm = NormSpec{name + ".k_norm", attention.head_dim};
  }
  return attention;
}

FeedForwardSpec feed_forward_at(const std::string& name, std::int64_t width, std::int64_t inner, bool bias) {
  return {{name + ".gate_proj", width, inner, bias},
          {name + ".up_proj", width, inner, bias},
          {name + ".down_proj", inner, width, bias}};
}

void check_layer_types(const ConfigReader& config, const std::vector<LayerSpec>& layers) {
  const Json* types = config.find("layer_types");
  if (!types) return;
  bool fits = types->is_array() && types->size() == layers.size();
  for (size_t i = 0; fits && i < layers.size(); ++i)
    fits = (*types)[i] == (layers[i].attention.window ? "sliding_attention" : "full_attention");
  if (!fits) {
    config.fail("layer_types",
                "is not what sliding_window and max_window_layers say; other patterns are not supported");
  }
}

}  // namespace

std::optional<std::int64_t> read_window(const ConfigReader& config) {
  const auto window = config.integer("sliding_window", 1, kMaxPositions);
  // 4096 is the classes' default.
  return window || config.has("sliding_window") ? window : std::optional<std::int64_t>(4096);
}

LayerWindows read_late_windows(const ConfigReader& config) {
  LayerWindows windows;
  if (config.boolean("use_sliding_window", false)) windows.size = read_window(config);
  if (windows.size) windows.first_layer = config.integer("max_window_layers", 0, kMaxLayers).value_or(28);
  return windows;
}

ModelSpec read_llama_like(const ConfigReader& config, const LlamaLikeDefaults& defaults,
                          const LlamaLikeParts& parts) {
  refuse_what_is_not_built(config);
  ModelSpec model;
  model.vocab_size = config.integer("vocab_size", 1, kMaxSize).value_or(defaults.vocab_size);
  model.hidden_size = config.integer("hidden_size", 1, kMaxSize).value_or(4096);
  model.max_position_embeddings =
      config.integer("max_position_embeddings", 1, kMaxPositions).value_or(defaults.max_position_embeddings);
  model.norm_eps = config.positive("rms_norm_eps").value_or(model.norm_eps);
  model.tie_word_embeddings = config.boolean("tie_word_embeddings", false);
  model.embedding_name = "model.embed_tokens.weight";
  model.head_name = "lm_head.weight";
  model.final_norm = {"model.norm", model.hidden_size};

  const std::int64_t inner =
      config.integer("intermediate_size", 1, kMaxSize).value_or(defaults.intermediate_size);
  const AttentionSpec attention = read_attention(config, model.hidden_size, defaults);
  const std::int64_t num_layers = config.integer("num_hidden_layers", 1, kMaxLayers).value_or(32);
  for (std::int64_t i = 0; i < num_layers; ++i) {
    const std::string name = "model.layers." + std::to_string(i);
    LayerSpec layer{.attention_norm = {name + ".input_layernorm", model.hidden_size},
                    .attention = attention_at(attention, name + ".self_attn", model.hidden_size, parts),
                    .feed_forward_norm = {name + ".post_attention_layernorm", model.hidden_size},
                    .feed_forward = feed_forward_at(name + ".mlp", model.hidden_size, inner, parts.mlp_bias)};
    if (i >= parts.windows.first_layer) layer.attention.window = parts.windows.size;
    model.layers.push_back(std::move(layer));
  }
  check_layer_types(config, model.layers);
  return model;
}

}  // namespace ddro::models
