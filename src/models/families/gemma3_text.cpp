// Gemma 3 without its eyes: as Gemma 2, with norms of queries and keys instead of the attention's soft cap,
// and a rotary embedding of their own for layers with a window.
#include <cmath>

#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_gemma3_text(const ConfigReader& config) {
  config.expect("use_bidirectional_attention", false);
  // hidden_activation is read instead; scores have no cap; layer_types is made from the pattern.
  config.ignore({"hidden_act", "attn_logit_softcapping", "_sliding_window_pattern"});
  const bool bias = config.boolean("attention_bias", false);
  const std::int64_t period = config.integer("sliding_window_pattern", 1, kMaxLayers).value_or(6);
  ModelSpec model =
      read_llama_like(config,
                      {.vocab_size = 262208,
                       .intermediate_size = 9216,
                       .max_position_embeddings = 131072,
                       .num_key_value_heads = 4,
                       .head_dim = 256,
                       .hidden_size = 2304,
                       .num_hidden_layers = 26,
                       .num_attention_heads = 8,
                       .activation = Activation::kGeluTanh,
                       .activation_key = "hidden_activation",
                       .tie_word_embeddings = true,
                       .rotary = {.theta = 1e6}},
                      {.qkv_bias = bias,
                       .output_bias = bias,
                       .norm_kind = NormKind::kRmsPlusOne,
                       .qk_norm = QkNorm::kHead,
                       .windows = {.size = read_window(config), .period = period, .by_layer_types = true}});
  norm_inputs_and_results(model, "post_attention_layernorm", "pre_feedforward_layernorm",
                          "post_feedforward_layernorm");
  model.embedding_scale = std::sqrt(static_cast<double>(model.hidden_size));
  model.logit_softcap = read_optional(config, "final_logit_softcapping", std::nullopt);
  const double local_theta = config.positive("rope_local_base_freq").value_or(1e4);
  for (LayerSpec& layer : model.layers) {
    AttentionSpec& attention = layer.attention;
    attention.scale = 1 / std::sqrt(config.positive("query_pre_attn_scalar").value_or(256));
    if (attention.window && !rotary_is_by_layer_kind(config))
      attention.rotary = {.theta = local_theta, .scaling = {}, .width = attention.head_dim};
  }
  return model;
}

}  // namespace

extern const Family family_gemma3_text = {"gemma3_text", "Gemma 3 270M and 1B", read_gemma3_text};

}  // namespace ddro::models
