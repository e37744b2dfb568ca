// StarCoder 1 and SantaCoder: learned positions, layer norms, biases, and one head for keys and values.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

// One key and one value head behind all query heads; or each head's query, key and value together.
AttentionSpec read_attention(const ConfigReader& config, std::int64_t width) {
  AttentionSpec attention;
  attention.num_heads = attention.num_key_value_heads = config.integer("n_head", 1, kMaxHeads).value_or(12);
  attention.head_dim = divide_heads(config, width, "n_head", attention.num_heads);
  if (config.boolean("multi_query", true)) {
    attention.num_key_value_heads = 1;
  } else {
    attention.fused_groups = attention.num_heads;
  }
  if (!config.boolean("scale_attn_weights", true)) attention.scale = 1;
  return attention;
}

AttentionSpec attention_at(AttentionSpec attention, const std::string& name, std::int64_t width) {
  const std::int64_t keys = attention.num_key_value_heads * attention.head_dim;
  attention.query = {"", width, width};
  attention.key = attention.value = {"", width, keys};
  attention.fused = {name + "c_attn", width, width + 2 * keys, true};
  attention.output = {name + "c_proj", width, width, true};
  return attention;
}

ModelSpec read_gpt_bigcode(const ConfigReader& config) {
  config.expect("add_cross_attention", false);
  config.ignore(
      {"num_key_value_heads", "pad_key_length", "validate_runner_input"});  // as multi_query; of caches
  ModelSpec model;
  const std::int64_t width = model.hidden_size = config.size("n_embd", 768);
  const std::int64_t inner = config.size("n_inner", 4 * width);
  model.vocab_size = config.size("vocab_size", 50257);
  model.max_position_embeddings = config.size("n_positions", 1024);
  model.norm_kind = NormKind::kLayer;
  model.norm_eps = config.positive("layer_norm_epsilon").value_or(1e-5);
  model.tie_word_embeddings = config.boolean("tie_word_embeddings", true);
  model.embedding_name = "transformer.wte.weight";
  model.positions = PositionSpec{"transformer.wpe.weight", model.max_position_embeddings};
  model.head_name = "lm_head.weight";
  model.final_norm = {"transformer.ln_f", width, true};
  const Activation activation = read_activation(config, "activation_function", Activation::kGeluTanh);
  const AttentionSpec attention = read_attention(config, width);
  const std::int64_t num_layers = config.integer("n_layer", 1, kMaxLayers).value_or(12);
  for (std::int64_t i = 0; i < num_layers; ++i) {
    const std::string name = "transformer.h." + std::to_string(i) + ".";
    LayerSpec layer;
    layer.attention_norm = NormSpec{name + "ln_1", width, true};
    layer.attention = attention_at(attention, name + "attn.", width);
    layer.feed_forward_norm = NormSpec{name + "ln_2", width, true};
    layer.feed_forward.up = {name + "mlp.c_fc", width, inner, true};
    layer.feed_forward.down = {name + "mlp.c_proj", inner, width, true};
    layer.feed_forward.activation = activation;
    model.layers.push_back(std::move(layer));
  }
  note_dropout(config, {"attn_pdrop", "embd_pdrop", "resid_pdrop"}, model);
  return model;
}

}  // namespace

extern const Family family_gpt_bigcode = {"gpt_bigcode", "StarCoder 1, StarCoderBase, SantaCoder",
                                          read_gpt_bigcode};

}  // namespace ddro::models
