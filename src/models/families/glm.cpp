// GLM-4 of 2024: half of each head turns, in interleaved pairs; one product for gate and up.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_glm(const ConfigReader& config) {
  ModelSpec model = read_llama_like(
      config,
      {.vocab_size = 151552,
       .intermediate_size = 13696,
       .max_position_embeddings = 131072,
       .num_key_value_heads = 2,
       .head_dim = 128,
       .num_hidden_layers = 40,
       .norm_eps = 1.5625e-7,
       .rotary = {.partial_rotary_factor = 0.5, .partial_key = "partial_rotary_factor", .interleaved = true}},
      {.qkv_bias = config.boolean("attention_bias", true)});
  fuse_gate_and_up(model);
  return model;
}

}  // namespace

extern const Family family_glm = {"glm", "GLM-4 9B of 2024", read_glm};

}  // namespace ddro::models
