// GPT-2: learned positions, layer norms, and products whose weights are stored transposed.
#include <cmath>

#include "models/family.h"
#include "models/family_parts/gpt2_like.h"
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
  ModelSpec model = read_gpt2_like(config, {});
  for (size_t i = 0; i < model.layers.size(); ++i) {
    LayerSpec& layer = model.layers[i];
    layer.attention = read_attention(config, model.hidden_size, static_cast<std::int64_t>(i),
                                     gpt2_layer_prefix(i) + "attn.");
    layer.feed_forward.up.transposed = layer.feed_forward.down.transposed = true;
  }
  note_dropout(config, {"attn_pdrop", "embd_pdrop", "resid_pdrop"}, model);
  return model;
}

}  // namespace

extern const Family family_gpt2 = {"gpt2", "GPT-2, DistilGPT2", read_gpt2};

}  // namespace ddro::models
