// Phi 1 and 2: layer norms, biases everywhere, the head's included; attention and feed-forward side by side;
// half of each head turns.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

void add_qk_norms(AttentionSpec& attention, const std::string& name) {
  attention.query_norm = NormSpec{name + "q_layernorm", attention.head_dim, true};
  attention.key_norm = NormSpec{name + "k_layernorm", attention.head_dim, true};
}

ModelSpec read_phi(const ConfigReader& config) {
  ModelSpec model =
      read_llama_like(config,
                      {.vocab_size = 51200,
                       .intermediate_size = 8192,
                       .max_position_embeddings = 2048,
                       .hidden_size = 2048,
                       .num_hidden_layers = 24,
                       .norm_eps = 1e-5,
                       .norm_eps_key = "layer_norm_eps",
                       .activation = Activation::kGeluTanh,
                       .rotary = {.partial_rotary_factor = 0.5, .partial_key = "partial_rotary_factor"}},
                      {.qkv_bias = true,
                       .output_bias = true,
                       .mlp_bias = true,
                       .norm_bias = true,
                       .norm_kind = NormKind::kLayer});
  config.expect("rotary_dim", model.layers.front().attention.rotary.width);
  read_in_parallel(model);
  replace_feed_forward(model, "fc1", "fc2");
  model.final_norm.name = "model.final_layernorm";
  model.head_bias_name = "lm_head.bias";
  const bool qk_norm = config.boolean("qk_layernorm", false);
  for (size_t i = 0; i < model.layers.size(); ++i) {
    AttentionSpec& attention = model.layers[i].attention;
    attention.output.name = layer_prefix(i) + "self_attn.dense";
    if (qk_norm) add_qk_norms(attention, layer_prefix(i) + "self_attn.");
  }
  note_dropout(config, {"resid_pdrop", "embd_pdrop"}, model);
  return model;
}

}  // namespace

extern const Family family_phi = {"phi", "Phi 1, 1.5, 2", read_phi};

}  // namespace ddro::models
