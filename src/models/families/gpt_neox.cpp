// GPT-NeoX and Pythia: layer norms; attention and feed-forward side by side; one product for the queries,
// keys and values of each head; a quarter of each head turns.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

AttentionSpec read_attention(const ConfigReader& config, std::int64_t width) {
  AttentionSpec attention;
  attention.num_heads = config.integer("num_attention_heads", 1, kMaxHeads).value_or(64);
  attention.num_key_value_heads = attention.fused_groups = attention.num_heads;
  attention.head_dim = divide_heads(config, width, "num_attention_heads", attention.num_heads);
  attention.rotary = read_rotary(
      config, attention.head_dim,
      {.partial_rotary_factor = 0.25, .theta_key = "rotary_emb_base", .partial_key = "rotary_pct"});
  return attention;
}

AttentionSpec attention_at(AttentionSpec attention, const std::string& name, std::int64_t width, bool bias) {
  attention.query = attention.key = attention.value = {"", width, width};
  attention.fused = {name + "query_key_value", width, 3 * width, bias};
  attention.output = {name + "dense", width, width, bias};
  return attention;
}

ModelSpec read_gpt_neox(const ConfigReader& config) {
  refuse_dropout(config, {"attention_dropout", "hidden_dropout"});
  // transformers 4 saves them under two names.
  config.expect("rope_theta", config.positive("rotary_emb_base").value_or(10000));
  config.expect("partial_rotary_factor", config.positive("rotary_pct").value_or(0.25));
  ModelSpec model;
  const std::int64_t width = model.hidden_size = config.size("hidden_size", 6144);
  const std::int64_t inner = config.size("intermediate_size", 24576);
  model.vocab_size = config.size("vocab_size", 50432);
  model.max_position_embeddings = config.integer("max_position_embeddings", 1, kMaxPositions).value_or(2048);
  model.norm_kind = NormKind::kLayer;
  model.norm_eps = config.positive("layer_norm_eps").value_or(1e-5);
  model.tie_word_embeddings = config.boolean("tie_word_embeddings", false);
  model.parallel_residual = config.boolean("use_parallel_residual", true);
  model.embedding_name = "gpt_neox.embed_in.weight";
  model.head_name = "embed_out.weight";
  model.final_norm = {"gpt_neox.final_layer_norm", width, true};
  const Activation activation = read_activation(config, "hidden_act", Activation::kGelu);
  const bool bias = config.boolean("attention_bias", true);
  const AttentionSpec attention = read_attention(config, width);
  const std::int64_t num_layers = config.integer("num_hidden_layers", 1, kMaxLayers).value_or(44);
  for (std::int64_t i = 0; i < num_layers; ++i) {
    const std::string name = "gpt_neox.layers." + std::to_string(i) + ".";
    LayerSpec layer;
    layer.attention_norm = NormSpec{name + "input_layernorm", width, true};
    layer.attention = attention_at(attention, name + "attention.", width, bias);
    layer.feed_forward_norm = NormSpec{name + "post_attention_layernorm", width, true};
    layer.feed_forward.up = {name + "mlp.dense_h_to_4h", width, inner, true};
    layer.feed_forward.down = {name + "mlp.dense_4h_to_h", inner, width, true};
    layer.feed_forward.activation = activation;
    model.layers.push_back(std::move(layer));
  }
  model.max_position_embeddings = max_positions(attention.rotary, model.max_position_embeddings);
  return model;
}

}  // namespace

extern const Family family_gpt_neox = {"gpt_neox", "Pythia, GPT-NeoX, RedPajama-INCITE", read_gpt_neox};

}  // namespace ddro::models
