// Granite 3: multipliers of embeddings, scores, what is added, and logits.
#include "models/families/families.h"
#include "models/families/llama_like.h"

namespace ddro::models {

ModelSpec read_granite(const ConfigReader& config) {
  const bool bias = config.boolean("attention_bias", false);
  ModelSpec model = read_llama_like(
      config, {.vocab_size = 32000, .intermediate_size = 11008, .max_position_embeddings = 2048},
      {.qkv_bias = bias, .output_bias = bias, .mlp_bias = config.boolean("mlp_bias", false)});
  read_multipliers(config, model);
  return model;
}

}  // namespace ddro::models
