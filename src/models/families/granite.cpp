// Granite 3: multipliers of embeddings, scores, what is added, and logits.
#include "models/families/families.h"
#include "models/families/llama_like.h"

namespace ddro::models {

ModelSpec read_granite(const ConfigReader& config) {
  const bool bias = config.boolean("attention_bias", false);
  ModelSpec model = read_llama_like(
      config, {.vocab_size = 32000, .intermediate_size = 11008, .max_position_embeddings = 2048},
      {.qkv_bias = bias, .output_bias = bias, .mlp_bias = config.boolean("mlp_bias", false)});
  model.embedding_scale = config.positive("embedding_multiplier").value_or(1);
  model.residual_scale = config.positive("residual_multiplier").value_or(1);
  model.logit_scale = 1 / config.positive("logits_scaling").value_or(1);
  for (LayerSpec& layer : model.layers)
    layer.attention.scale = config.positive("attention_multiplier").value_or(1);
  return model;
}

}  // namespace ddro::models
