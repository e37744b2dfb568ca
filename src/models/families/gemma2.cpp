// Gemma 2: as Gemma, with norms also of what is added, soft caps, and a window in every other layer.
#include <cmath>

#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_gemma2(const ConfigReader& config) {
  config.expect("use_bidirectional_attention", false);
  config.ignore(
      {"hidden_act", "sliding_window_size"});  // hidden_activation and sliding_window are read instead
  const bool bias = config.boolean("attention_bias", false);
  ModelSpec model =
      read_llama_like(config,
                      {.vocab_size = 256000,
                       .intermediate_size = 9216,
                       .max_position_embeddings = 8192,
                       .num_key_value_heads = 4,
                       .head_dim = 256,
                       .hidden_size = 2304,
                       .num_hidden_layers = 26,
                       .num_attention_heads = 8,
                       .activation = Activation::kGeluTanh,
                       .activation_key = "hidden_activation",
                       .tie_word_embeddings = true},
                      {.qkv_bias = bias,
                       .output_bias = bias,
                       .norm_kind = NormKind::kRmsPlusOne,
                       .windows = {.size = read_window(config), .period = 2, .by_layer_types = true}});
  norm_inputs_and_results(model, "post_attention_layernorm", "pre_feedforward_layernorm",
                          "post_feedforward_layernorm");
  model.embedding_scale = std::sqrt(static_cast<double>(model.hidden_size));
  model.logit_softcap = read_optional(config, "final_logit_softcapping", 30);
  for (LayerSpec& layer : model.layers) {
    layer.attention.scale = 1 / std::sqrt(config.positive("query_pre_attn_scalar").value_or(256));
    layer.attention.softcap = read_optional(config, "attn_logit_softcapping", 50);
  }
  return model;
}

}  // namespace

extern const Family family_gemma2 = {"gemma2", "Gemma 2", read_gemma2};

}  // namespace ddro::models
