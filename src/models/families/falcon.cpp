// Falcon: layer norms, one product for queries, keys and values, attention and feed-forward side by side;
// rotary embeddings or ALiBi.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

// Where the generations differ.
struct Generation {
  bool grouped = false;    // new_decoder_architecture: groups of query heads with a key and a value head
  bool parallel = true;    // attention and feed-forward
  bool two_norms = false;  // of x, one for each of them
  bool bias = false;
};

Generation read_generation(const ConfigReader& config) {
  Generation generation;
  generation.grouped = config.boolean("new_decoder_architecture", false);
  generation.parallel = config.boolean("parallel_attn", true);
  if (generation.grouped && !generation.parallel)
    config.fail("parallel_attn", "is not supported with new_decoder_architecture; got false, expected true");
  const std::int64_t norms =
      config.integer("num_ln_in_parallel_attn", 1, 2).value_or(generation.grouped ? 2 : 1);
  if (norms == 2 && !generation.grouped)
    config.fail("num_ln_in_parallel_attn",
                "is not supported without new_decoder_architecture; got 2, expected 1");
  generation.two_norms = norms == 2;
  generation.bias = config.boolean("bias", false);
  return generation;
}

AttentionSpec read_attention(const ConfigReader& config, const Generation& generation, std::int64_t width) {
  AttentionSpec attention;
  attention.num_heads = config.integer("num_attention_heads", 1, kMaxHeads).value_or(71);
  attention.head_dim = divide_heads(config, width, "num_attention_heads", attention.num_heads);
  attention.num_key_value_heads = config.integer("num_kv_heads", 1, kMaxHeads).value_or(attention.num_heads);
  if (config.boolean("multi_query", true) && !generation.grouped) {
    attention.num_key_value_heads = 1;
  } else {
    attention.fused_groups = attention.num_key_value_heads;
  }
  const bool fits = generation.grouped ? attention.num_heads % attention.num_key_value_heads == 0
                                       : attention.num_key_value_heads == 1 ||
                                             attention.num_key_value_heads == attention.num_heads;
  if (!fits) {
    config.fail("num_kv_heads",
                "must divide num_attention_heads, and equal it without "
                "new_decoder_architecture; got " +
                    std::to_string(attention.num_key_value_heads) + " and " +
                    std::to_string(attention.num_heads));
  }
  if (config.boolean("alibi", false)) {
    config.ignore({"rope_theta", "rope_scaling", "rope_parameters"});
    attention.alibi = AlibiSpec{.in_bfloat16 = true};
  } else {
    attention.rotary = read_rotary(config, attention.head_dim);
  }
  return attention;
}

AttentionSpec attention_at(AttentionSpec attention, const std::string& name, std::int64_t width, bool bias) {
  const std::int64_t keys = attention.num_key_value_heads * attention.head_dim;
  attention.query = {"", width, width};
  attention.key = attention.value = {"", width, keys};
  attention.fused = {name + "query_key_value", width, width + 2 * keys, bias};
  attention.output = {name + "dense", width, width, bias};
  return attention;
}

void add_norms(LayerSpec& layer, const Generation& generation, const std::string& name, std::int64_t width) {
  layer.attention_norm = NormSpec{name + (generation.two_norms ? "ln_attn" : "input_layernorm"), width, true};
  if (generation.two_norms) layer.feed_forward_norm = NormSpec{name + "ln_mlp", width, true};
  if (!generation.parallel)
    layer.feed_forward_norm = NormSpec{name + "post_attention_layernorm", width, true};
}

ModelSpec read_falcon(const ConfigReader& config) {
  refuse_dropout(config, {"attention_dropout", "hidden_dropout"});
  config.expect("apply_residual_connection_post_layernorm", false);
  config.ignore({"ff_factor"});  // ffn_hidden_size is read instead
  const Generation generation = read_generation(config);
  ModelSpec model;
  const std::int64_t width = model.hidden_size = config.size("hidden_size", 4544);
  const std::int64_t inner = config.size("ffn_hidden_size", 4 * width);
  model.vocab_size = config.size("vocab_size", 65024);
  model.max_position_embeddings = config.integer("max_position_embeddings", 1, kMaxPositions).value_or(2048);
  model.norm_kind = NormKind::kLayer;
  model.norm_eps = config.positive("layer_norm_epsilon").value_or(1e-5);
  model.tie_word_embeddings = config.boolean("tie_word_embeddings", true);
  model.parallel_residual = generation.parallel;
  model.embedding_name = "transformer.word_embeddings.weight";
  model.head_name = "lm_head.weight";
  model.final_norm = {"transformer.ln_f", width, true};
  const Activation activation = read_activation(config, "activation", Activation::kGelu);
  const AttentionSpec attention = read_attention(config, generation, width);
  const std::int64_t num_layers = config.integer("num_hidden_layers", 1, kMaxLayers).value_or(32);
  for (std::int64_t i = 0; i < num_layers; ++i) {
    const std::string name = "transformer.h." + std::to_string(i) + ".";
    LayerSpec layer;
    add_norms(layer, generation, name, width);
    layer.attention = attention_at(attention, name + "self_attention.", width, generation.bias);
    layer.feed_forward.up = {name + "mlp.dense_h_to_4h", width, inner, generation.bias};
    layer.feed_forward.down = {name + "mlp.dense_4h_to_h", inner, width, generation.bias};
    layer.feed_forward.activation = activation;
    model.layers.push_back(std::move(layer));
  }
  model.max_position_embeddings = max_positions(attention.rotary, model.max_position_embeddings);
  return model;
}

}  // namespace

extern const Family family_falcon = {"falcon", "Falcon RW, 7B, 40B, 180B, 2-11B", read_falcon};

}  // namespace ddro::models
