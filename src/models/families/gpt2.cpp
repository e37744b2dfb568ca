// GPT-2: learned positions, layer norms, and products whose weights are stored transposed.
#include <cmath>

#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

void refuse_what_is_not_built(const ConfigReader& config) { config.expect("add_cross_attention", false); }

LinearSpec transposed(const std::string& name, std::int64_t in, std::int64_t out) {
  return {.name = name, .in = in, .out = out, .bias = true, .transposed = true};
}

// Of a layer's scores.
double read_scale(const ConfigReader& config, std::int64_t head_dim, std::int64_t layer) {
  const bool by_width = config.boolean("scale_attn_weights", true);
  const bool by_layer = config.boolean("scale_attn_by_inverse_layer_idx", false);
  return (by_width ? 1 / std::sqrt(static_cast<double>(head_dim)) : 1) /
         (by_layer ? static_cast<double>(layer + 1) : 1);
}

AttentionSpec read_attention(const ConfigReader& config, std::int64_t width, std::int64_t layer,
                             const std::string& name) {
  AttentionSpec attention;
  attention.num_heads = config.integer("n_head", 1, kMaxHeads).value_or(12);
  attention.num_key_value_heads = attention.num_heads;
  attention.head_dim = divide_heads(config, width, "n_head", attention.num_heads);
  attention.scale = read_scale(config, attention.head_dim, layer);
  attention.query = attention.key = attention.value = {"", width, width};
  attention.fused = transposed(name + "c_attn", width, 3 * width);
  attention.output = transposed(name + "c_proj", width, width);
  return attention;
}

ModelSpec read_gpt2(const ConfigReader& config) {
  refuse_what_is_not_built(config);
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
  const std::int64_t num_layers = config.integer("n_layer", 1, kMaxLayers).value_or(12);
  for (std::int64_t i = 0; i < num_layers; ++i) {
    const std::string name = "transformer.h." + std::to_string(i) + ".";
    LayerSpec layer;
    layer.attention_norm = NormSpec{name + "ln_1", width, true};
    layer.attention = read_attention(config, width, i, name + "attn.");
    layer.feed_forward_norm = NormSpec{name + "ln_2", width, true};
    layer.feed_forward.up = transposed(name + "mlp.c_fc", width, inner);
    layer.feed_forward.down = transposed(name + "mlp.c_proj", inner, width);
    layer.feed_forward.activation = activation;
    model.layers.push_back(std::move(layer));
  }
  note_dropout(config, {"attn_pdrop", "embd_pdrop", "resid_pdrop"}, model);
  return model;
}

}  // namespace

extern const Family family_gpt2 = {"gpt2", "GPT-2, DistilGPT2", read_gpt2};

}  // namespace ddro::models
