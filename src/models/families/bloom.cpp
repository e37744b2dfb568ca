// BLOOM: ALiBi, a norm of the embedding, layer norms, biases, one product for queries, keys and values.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

// Each head's query, key and value lie together.
AttentionSpec attention_at(const std::string& name, std::int64_t width, std::int64_t num_heads,
                           std::int64_t head_dim) {
  AttentionSpec attention;
  attention.num_heads = attention.num_key_value_heads = attention.fused_groups = num_heads;
  attention.head_dim = head_dim;
  attention.query = attention.key = attention.value = {"", width, width};
  attention.fused = {name + "query_key_value", width, 3 * width, true};
  attention.output = {name + "dense", width, width, true};
  attention.alibi = AlibiSpec();
  return attention;
}

ModelSpec read_bloom(const ConfigReader& config) {
  refuse_dropout(config, {"attention_dropout", "hidden_dropout"});
  config.expect("apply_residual_connection_post_layernorm", false);
  config.ignore({"n_head", "n_inner", "n_layer", "offset_alibi", "skip_bias_add",
                 "slow_but_exact"});  // of its authors' code
  ModelSpec model;
  const std::int64_t width = model.hidden_size = config.size("n_embed", config.size("hidden_size", 64));
  model.vocab_size = config.size("vocab_size", 250880);
  model.max_position_embeddings = config.integer("seq_length", 1, kMaxPositions).value_or(2048);
  model.norm_kind = NormKind::kLayer;
  model.norm_eps = config.positive("layer_norm_epsilon").value_or(1e-5);
  model.tie_word_embeddings = config.boolean("tie_word_embeddings", true);
  model.embedding_name = "transformer.word_embeddings.weight";
  model.head_name = "lm_head.weight";
  const auto norm = [&](const std::string& name) { return NormSpec{"transformer." + name, width, true}; };
  model.final_norm = norm("ln_f");
  const char* heads_key = config.find("num_attention_heads") ? "num_attention_heads" : "n_head";
  const std::int64_t num_heads = config.integer(heads_key, 1, kMaxHeads).value_or(8);
  const std::int64_t head_dim = divide_heads(config, width, heads_key, num_heads);
  const char* layers_key = config.find("num_hidden_layers") ? "num_hidden_layers" : "n_layer";
  const std::int64_t num_layers = config.integer(layers_key, 1, kMaxLayers).value_or(2);
  for (std::int64_t i = 0; i < num_layers; ++i) {
    const std::string name = "h." + std::to_string(i) + ".";
    LayerSpec layer;
    if (i == 0) layer.input_norm = norm("word_embeddings_layernorm");
    layer.attention_norm = norm(name + "input_layernorm");
    layer.attention = attention_at("transformer." + name + "self_attention.", width, num_heads, head_dim);
    layer.feed_forward_norm = norm(name + "post_attention_layernorm");
    layer.feed_forward.up = {"transformer." + name + "mlp.dense_h_to_4h", width, 4 * width, true};
    layer.feed_forward.down = {"transformer." + name + "mlp.dense_4h_to_h", 4 * width, width, true};
    layer.feed_forward.activation = Activation::kGeluTanh;
    model.layers.push_back(std::move(layer));
  }
  return model;
}

}  // namespace

extern const Family family_bloom = {"bloom", "BLOOM, BLOOMZ", read_bloom};

}  // namespace ddro::models
