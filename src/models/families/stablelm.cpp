// StableLM: layer norms; a quarter of each head turns; attention and feed-forward may run side by side.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_stablelm(const ConfigReader& config) {
  refuse_dropout(config, {"hidden_dropout"});
  config.expect("qk_layernorm", false);
  config.ignore({"num_heads"});  // num_attention_heads is read instead
  ModelSpec model = read_llama_like(
      config,
      {.vocab_size = 50304,
       .intermediate_size = 6912,
       .max_position_embeddings = 4096,
       .num_key_value_heads = 32,
       .hidden_size = 2560,
       .norm_eps = 1e-5,
       .norm_eps_key = "layer_norm_eps",
       .rotary = {.partial_rotary_factor = 0.25, .partial_key = "partial_rotary_factor"}},
      {.qkv_bias = config.boolean("use_qkv_bias", false), .norm_bias = true, .norm_kind = NormKind::kLayer});
  if (config.boolean("use_parallel_residual", false)) read_in_parallel(model);
  return model;
}

}  // namespace

extern const Family family_stablelm = {"stablelm", "StableLM 3B, Zephyr 3B, StableLM 2 1.6B", read_stablelm};

}  // namespace ddro::models
