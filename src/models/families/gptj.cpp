// GPT-J: layer norms; attention and feed-forward side by side; a part of each head turns, in interleaved
// pairs.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

// How many numbers of a head turn. Without rotary_dim transformers counts frequencies by the hidden size.
std::int64_t read_rotary_width(const ConfigReader& config, std::int64_t head_dim) {
  const auto given = config.integer("rotary_dim", 2, head_dim);
  const std::int64_t width = given.value_or(64);
  if (width % 2 != 0 || width > head_dim || (config.has("rotary_dim") && !given)) {
    config.fail("rotary_dim", "must be an even part of a head's " + std::to_string(head_dim) +
                                  " numbers; got " + (given ? std::to_string(width) : "null"));
  }
  return width;
}

AttentionSpec read_attention(const ConfigReader& config, std::int64_t width) {
  AttentionSpec attention;
  attention.num_heads = attention.num_key_value_heads = config.integer("n_head", 1, kMaxHeads).value_or(16);
  attention.head_dim = divide_heads(config, width, "n_head", attention.num_heads);
  attention.rotary = {
      .scaling = {}, .width = read_rotary_width(config, attention.head_dim), .interleaved = true};
  return attention;
}

AttentionSpec attention_at(AttentionSpec attention, const std::string& name, std::int64_t width) {
  attention.query = {name + "q_proj", width, width};
  attention.key = {name + "k_proj", width, width};
  attention.value = {name + "v_proj", width, width};
  attention.output = {name + "out_proj", width, width};
  return attention;
}

ModelSpec read_gptj(const ConfigReader& config) {
  refuse_dropout(config, {"attn_pdrop", "embd_pdrop", "resid_pdrop"});
  config.expect("rotary", true);
  config.expect("scale_attn_weights", true);
  ModelSpec model;
  const std::int64_t width = model.hidden_size = config.size("n_embd", 4096);
  const std::int64_t inner = config.size("n_inner", 4 * width);
  model.vocab_size = config.size("vocab_size", 50400);
  model.max_position_embeddings = config.size("n_positions", 2048);
  model.norm_kind = NormKind::kLayer;
  model.norm_eps = config.positive("layer_norm_epsilon").value_or(1e-5);
  model.tie_word_embeddings = config.boolean("tie_word_embeddings", false);
  model.parallel_residual = true;
  model.embedding_name = "transformer.wte.weight";
  model.head_name = "lm_head.weight";
  model.head_bias_name = "lm_head.bias";
  model.final_norm = {"transformer.ln_f", width, true};
  const Activation activation = read_activation(config, "activation_function", Activation::kGeluTanh);
  const AttentionSpec attention = read_attention(config, width);
  const std::int64_t num_layers = config.integer("n_layer", 1, kMaxLayers).value_or(28);
  for (std::int64_t i = 0; i < num_layers; ++i) {
    const std::string name = "transformer.h." + std::to_string(i) + ".";
    LayerSpec layer;
    layer.attention_norm = NormSpec{name + "ln_1", width, true};
    layer.attention = attention_at(attention, name + "attn.", width);
    layer.feed_forward.up = {name + "mlp.fc_in", width, inner, true};
    layer.feed_forward.down = {name + "mlp.fc_out", inner, width, true};
    layer.feed_forward.activation = activation;
    model.layers.push_back(std::move(layer));
  }
  return model;
}

}  // namespace

extern const Family family_gptj = {"gptj", "GPT-J 6B", read_gptj};

}  // namespace ddro::models
