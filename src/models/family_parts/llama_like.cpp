#include "models/family_parts/llama_like.h"

#include <utility>

#include "ddro/base/error.h"

namespace ddro::models {
namespace {

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

// Numbers alone; names, projections and what depends on the kind of layer follow with each layer's place.
AttentionSpec read_attention(const ConfigReader& config, std::int64_t hidden_size,
                             const LlamaLikeDefaults& defaults) {
  AttentionSpec attention;
  attention.num_heads =
      config.integer("num_attention_heads", 1, kMaxHeads).value_or(defaults.num_attention_heads);
  attention.num_key_value_heads = read_key_value_heads(config, attention.num_heads, defaults);
  attention.head_dim = read_head_dim(config, hidden_size, attention.num_heads, defaults);
  return attention;
}

void add_qk_norms(AttentionSpec& attention, const std::string& name, QkNorm kind) {
  if (kind == QkNorm::kNone) return;
  const bool all = kind == QkNorm::kAllHeads;
  attention.query_norm = NormSpec{name + ".q_norm", all ? attention.query.out : attention.head_dim};
  attention.key_norm = NormSpec{name + ".k_norm", all ? attention.key.out : attention.head_dim};
}

AttentionSpec attention_at(AttentionSpec attention, const std::string& name, std::int64_t width,
                           const LlamaLikeParts& parts) {
  const std::int64_t queries = attention.num_heads * attention.head_dim;
  const std::int64_t keys = attention.num_key_value_heads * attention.head_dim;
  attention.query = {name + ".q_proj", width, queries, parts.qkv_bias};
  attention.key = {name + ".k_proj", width, keys, parts.qkv_bias};
  attention.value = {name + ".v_proj", width, keys, parts.qkv_bias};
  attention.output = {name + ".o_proj", queries, width, parts.output_bias};
  add_qk_norms(attention, name, parts.qk_norm);
  return attention;
}

FeedForwardSpec feed_forward_at(const std::string& name, std::int64_t width, std::int64_t inner, bool bias,
                                Activation activation) {
  return {.gate = {name + ".gate_proj", width, inner, bias},
          .up = {name + ".up_proj", width, inner, bias},
          .down = {name + ".down_proj", inner, width, bias},
          .fused = {},
          .activation = activation};
}

bool slides_by_pattern(const LayerWindows& windows, std::int64_t layer) {
  return windows.size && layer >= windows.first_layer &&
         (windows.period == 0 || (layer + 1) % windows.period != 0);
}

// One a layer: true where it has the window.
std::vector<bool> read_sliding_layers(const ConfigReader& config, const LayerWindows& windows,
                                      std::int64_t num_layers) {
  std::vector<bool> slides;
  for (std::int64_t i = 0; i < num_layers; ++i) slides.push_back(slides_by_pattern(windows, i));
  const Json* types = config.find("layer_types");
  if (!types) return slides;
  bool fits = types->is_array() && types->size() == slides.size();
  for (size_t i = 0; fits && i < slides.size(); ++i) {
    const bool sliding = (*types)[i] == "sliding_attention";
    fits = sliding ? windows.size.has_value()
                   : (*types)[i] == windows.other_type || (*types)[i] == "full_attention";
    if (windows.by_layer_types) slides[i] = sliding;
    fits &= slides[i] == sliding;
  }
  if (!fits) {
    config.fail("layer_types",
                windows.by_layer_types
                    ? "must have full_attention, or sliding_attention with a sliding_window, "
                      "for each layer; got " +
                          shown(*types)
                    : "is not what sliding_window and max_window_layers say; other patterns are "
                      "not supported");
  }
  return slides;
}

ModelSpec read_sizes(const ConfigReader& config, const LlamaLikeDefaults& defaults,
                     const LlamaLikeParts& parts) {
  ModelSpec model;
  model.vocab_size = config.integer("vocab_size", 1, kMaxSize).value_or(defaults.vocab_size);
  model.hidden_size = config.integer("hidden_size", 1, kMaxSize).value_or(defaults.hidden_size);
  model.max_position_embeddings =
      config.integer("max_position_embeddings", 1, kMaxPositions).value_or(defaults.max_position_embeddings);
  model.norm_kind = parts.norm_kind;
  model.norm_eps = config.positive(defaults.norm_eps_key).value_or(defaults.norm_eps);
  model.tie_word_embeddings = config.boolean("tie_word_embeddings", defaults.tie_word_embeddings);
  model.embedding_name = "model.embed_tokens.weight";
  model.head_name = "lm_head.weight";
  model.final_norm = {"model.norm", model.hidden_size, parts.norm_bias};
  return model;
}

}  // namespace

void refuse_experts(const ConfigReader& config) {
  for (const char* key : {"num_experts", "num_local_experts", "n_routed_experts"}) {
    if (config.find(key)) config.fail(key, "is set, but models of this model_type have no experts");
  }
}

void refuse_dropout(const ConfigReader& config, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    const Json* dropout = config.find(key);
    if (dropout && (!dropout->is_number() || dropout->get<double>() != 0)) {
      config.fail(key,
                  "is not supported; got " + shown(*dropout) + ", expected 0; set it to 0 to train without");
    }
  }
}

void note_dropout(const ConfigReader& config, std::initializer_list<const char*> keys, ModelSpec& model) {
  for (const char* key : keys) {
    const Json* dropout = config.find(key);
    if (dropout && (!dropout->is_number() || dropout->get<double>() != 0))
      model.unused_settings.push_back(std::string(key) + " " + shown(*dropout));
  }
}

std::int64_t divide_heads(const ConfigReader& config, std::int64_t hidden_size, const char* heads_key,
                          std::int64_t num_heads) {
  if (hidden_size % num_heads != 0 || hidden_size / num_heads % 2 != 0) {
    config.fail(heads_key, "must divide the hidden size into heads of an even width; got " +
                               std::to_string(num_heads) + " and " + std::to_string(hidden_size));
  }
  return hidden_size / num_heads;
}

void read_multipliers(const ConfigReader& config, ModelSpec& model) {
  model.embedding_scale = config.positive("embedding_multiplier").value_or(1);
  model.residual_scale = config.positive("residual_multiplier").value_or(1);
  model.logit_scale = 1 / config.positive("logits_scaling").value_or(1);
  for (LayerSpec& layer : model.layers)
    layer.attention.scale = config.positive("attention_multiplier").value_or(1);
}

std::optional<double> read_optional(const ConfigReader& config, const char* key,
                                    std::optional<double> otherwise) {
  const auto number = config.positive(key);
  return number || config.has(key) ? number : otherwise;
}

Activation read_activation(const ConfigReader& config, const char* key, Activation otherwise) {
  const auto name = config.text(key);
  if (!name) return otherwise;
  std::string known;
  for (const auto& entry : EnumNames<Activation>::kNames) {
    if (entry.name == *name) return entry.value;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  config.fail(key, "\"" + printable(*name) + "\" is not supported; known: " + known);
}

std::optional<std::int64_t> read_window(const ConfigReader& config, std::optional<std::int64_t> otherwise) {
  const auto window = config.integer("sliding_window", 1, kMaxPositions);
  return window || config.has("sliding_window") ? window : otherwise;
}

LayerWindows read_late_windows(const ConfigReader& config) {
  config.ignore({"sliding_window", "max_window_layers"});  // without use_sliding_window
  LayerWindows windows{.by_layer_types = true};
  if (config.boolean("use_sliding_window", false)) windows.size = read_window(config);
  if (windows.size) windows.first_layer = config.integer("max_window_layers", 0, kMaxLayers).value_or(28);
  return windows;
}

ModelSpec read_llama_like(const ConfigReader& config, const LlamaLikeDefaults& defaults,
                          const LlamaLikeParts& parts) {
  if (!parts.mixture) refuse_experts(config);
  const Activation activation = read_activation(config, defaults.activation_key, defaults.activation);
  ModelSpec model = read_sizes(config, defaults, parts);
  if (defaults.drops_out) {
    note_dropout(config, {"attention_dropout"}, model);
  } else {
    refuse_dropout(config, {"attention_dropout"});
  }
  const std::int64_t width = model.hidden_size;
  const std::int64_t inner =
      config.integer("intermediate_size", 1, kMaxSize).value_or(defaults.intermediate_size);
  const AttentionSpec attention = read_attention(config, width, defaults);
  const std::int64_t num_layers =
      config.integer(defaults.num_layers_key, 1, kMaxLayers).value_or(defaults.num_hidden_layers);
  const std::vector<bool> slides = read_sliding_layers(config, parts.windows, num_layers);
  const auto norm = [&](const std::string& name) { return NormSpec{name, width, parts.norm_bias}; };
  for (size_t i = 0; i < slides.size(); ++i) {
    const std::string name = layer_prefix(i);
    LayerSpec layer{.input_norm = {},
                    .attention_norm = norm(name + "input_layernorm"),
                    .attention = attention_at(attention, name + "self_attn", width, parts),
                    .post_attention_norm = {},
                    .feed_forward_norm = norm(name + "post_attention_layernorm"),
                    .feed_forward = feed_forward_at(name + "mlp", width, inner, parts.mlp_bias, activation),
                    .experts = {},
                    .post_feed_forward_norm = {}};
    const bool sliding = slides[i];
    if (sliding) layer.attention.window = parts.windows.size;
    layer.attention.rotary = read_rotary(config, attention.head_dim, defaults.rotary,
                                         sliding ? LayerKind::kSliding : LayerKind::kFull);
    model.max_position_embeddings = max_positions(layer.attention.rotary, model.max_position_embeddings);
    model.layers.push_back(std::move(layer));
  }
  return model;
}

std::string layer_prefix(size_t layer) { return "model.layers." + std::to_string(layer) + "."; }

void norm_results(ModelSpec& model) {
  for (size_t i = 0; i < model.layers.size(); ++i) {
    LayerSpec& layer = model.layers[i];
    layer.attention_norm.reset();
    layer.post_attention_norm = std::exchange(layer.feed_forward_norm, std::nullopt);
    layer.post_feed_forward_norm = layer.post_attention_norm;
    layer.post_feed_forward_norm->name = layer_prefix(i) + "post_feedforward_layernorm";
  }
}

void norm_inputs_and_results(ModelSpec& model, const std::string& attention_result,
                             const std::string& feed_forward_input, const std::string& feed_forward_result) {
  for (size_t i = 0; i < model.layers.size(); ++i) {
    LayerSpec& layer = model.layers[i];
    layer.post_attention_norm = layer.post_feed_forward_norm = layer.feed_forward_norm;
    layer.post_attention_norm->name = layer_prefix(i) + attention_result;
    layer.feed_forward_norm->name = layer_prefix(i) + feed_forward_input;
    layer.post_feed_forward_norm->name = layer_prefix(i) + feed_forward_result;
  }
}

void fuse_gate_and_up(ModelSpec& model) {
  for (size_t i = 0; i < model.layers.size(); ++i) {
    FeedForwardSpec& part = model.layers[i].feed_forward;
    part.gate.name.clear();
    part.up.name.clear();
    part.fused = {layer_prefix(i) + "mlp.gate_up_proj", part.up.in, 2 * part.up.out, part.up.bias};
  }
}

void read_in_parallel(ModelSpec& model) {
  model.parallel_residual = true;
  for (LayerSpec& layer : model.layers) layer.feed_forward_norm.reset();
}

void replace_feed_forward(ModelSpec& model, const std::string& up, const std::string& down) {
  for (size_t i = 0; i < model.layers.size(); ++i) {
    FeedForwardSpec& part = model.layers[i].feed_forward;
    part.gate = {};
    part.up.name = layer_prefix(i) + "mlp." + up;
    part.down.name = layer_prefix(i) + "mlp." + down;
  }
}

}  // namespace ddro::models
