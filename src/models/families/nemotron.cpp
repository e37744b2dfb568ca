// Nemotron 3 and 4, Minitron: layer norms with 1 + w, squared ReLU without a gate, half of each head turns.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_nemotron(const ConfigReader& config) {
  config.ignore({"kv_channels", "rope_percent"});  // head_dim and partial_rotary_factor are read instead
  const bool bias = config.boolean("attention_bias", false);
  ModelSpec model =
      read_llama_like(config,
                      {.vocab_size = 256000,
                       .intermediate_size = 24576,
                       .max_position_embeddings = 4096,
                       .hidden_size = 6144,
                       .num_attention_heads = 48,
                       .norm_eps = 1e-5,
                       .norm_eps_key = "norm_eps",
                       .activation = Activation::kReluSquared,
                       .rotary = {.partial_rotary_factor = 0.5, .partial_key = "partial_rotary_factor"}},
                      {.qkv_bias = bias,
                       .output_bias = bias,
                       .mlp_bias = config.boolean("mlp_bias", false),
                       .norm_bias = true,
                       .norm_kind = NormKind::kLayerPlusOne});
  replace_feed_forward(model, "up_proj", "down_proj");
  return model;
}

}  // namespace

extern const Family family_nemotron = {"nemotron", "Nemotron 3 8B, Nemotron 4, Minitron", read_nemotron};

}  // namespace ddro::models
