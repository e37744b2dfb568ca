// OPT: learned positions that begin at row 2, layer norms, ReLU.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

void refuse_what_is_not_built(const ConfigReader& config, std::int64_t width) {
  config.expect("do_layer_norm_before", true);
  config.expect("layer_norm_elementwise_affine", true);
  config.expect("_remove_final_layer_norm", false);
  const std::int64_t embedding_width = config.size("word_embed_proj_dim", width);
  if (embedding_width != width) {
    config.fail("word_embed_proj_dim", "is not supported where it is not hidden_size; got " +
                                           std::to_string(embedding_width) + ", expected " +
                                           std::to_string(width));
  }
}

AttentionSpec attention_at(const ConfigReader& config, const std::string& name, std::int64_t width,
                           bool bias) {
  AttentionSpec attention;
  attention.num_heads = config.integer("num_attention_heads", 1, kMaxHeads).value_or(12);
  attention.num_key_value_heads = attention.num_heads;
  attention.head_dim = divide_heads(config, width, "num_attention_heads", attention.num_heads);
  attention.query = {name + "q_proj", width, width, bias};
  attention.key = {name + "k_proj", width, width, bias};
  attention.value = {name + "v_proj", width, width, bias};
  attention.output = {name + "out_proj", width, width, bias};
  return attention;
}

ModelSpec read_opt(const ConfigReader& config) {
  ModelSpec model;
  const std::int64_t width = model.hidden_size = config.size("hidden_size", 768);
  refuse_what_is_not_built(config, width);
  const std::int64_t inner = config.size("ffn_dim", 3072);
  model.vocab_size = config.size("vocab_size", 50272);
  model.max_position_embeddings = config.size("max_position_embeddings", 2048);
  model.norm_kind = NormKind::kLayer;
  model.norm_eps = 1e-5;
  model.tie_word_embeddings = config.boolean("tie_word_embeddings", true);
  model.embedding_name = "model.decoder.embed_tokens.weight";
  model.positions = PositionSpec{"model.decoder.embed_positions.weight", model.max_position_embeddings, 2};
  model.head_name = "lm_head.weight";
  const bool bias = config.boolean("enable_bias", true);
  const auto norm = [&](const std::string& name) { return NormSpec{name, width, true}; };
  model.final_norm = norm("model.decoder.final_layer_norm");
  const Activation activation = read_activation(config, "activation_function", Activation::kRelu);
  const std::int64_t num_layers = config.integer("num_hidden_layers", 1, kMaxLayers).value_or(12);
  for (std::int64_t i = 0; i < num_layers; ++i) {
    const std::string name = "model.decoder.layers." + std::to_string(i) + ".";
    LayerSpec layer;
    layer.attention_norm = norm(name + "self_attn_layer_norm");
    layer.attention = attention_at(config, name + "self_attn.", width, bias);
    layer.feed_forward_norm = norm(name + "final_layer_norm");
    layer.feed_forward.up = {name + "fc1", width, inner, bias};
    layer.feed_forward.down = {name + "fc2", inner, width, bias};
    layer.feed_forward.activation = activation;
    model.layers.push_back(std::move(layer));
  }
  note_dropout(config, {"dropout", "attention_dropout", "layerdrop"}, model);
  return model;
}

}  // namespace

extern const Family family_opt = {"opt", "OPT but 350M", read_opt};

}  // namespace ddro::models
