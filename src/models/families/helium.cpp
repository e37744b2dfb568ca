// Helium: interleaved rotary embeddings.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_helium(const ConfigReader& config) {
  return read_llama_like(
      config,
      {.vocab_size = 48000,
       .intermediate_size = 7040,
       .max_position_embeddings = 4096,
       .num_key_value_heads = 20,
       .head_dim = 128,
       .hidden_size = 2560,
       .num_hidden_layers = 24,
       .num_attention_heads = 20,
       .norm_eps = 1e-8,
       .rotary = {.theta = 1e5, .interleaved = true}},
      {.qkv_bias = config.boolean("attention_bias", false), .mlp_bias = config.boolean("mlp_bias", false)});
}

}  // namespace

extern const Family family_helium = {"helium", "Helium 1", read_helium};

}  // namespace ddro::models
