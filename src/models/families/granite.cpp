// Granite 3: multipliers of embeddings, scores, what is added, and logits.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_granite(const ConfigReader& config) {
  const bool bias = config.boolean("attention_bias", false);
  ModelSpec model = read_llama_like(
      config, {.vocab_size = 32000, .intermediate_size = 11008, .max_position_embeddings = 2048},
      {.qkv_bias = bias, .output_bias = bias, .mlp_bias = config.boolean("mlp_bias", false)});
  read_multipliers(config, model);
  return model;
}

}  // namespace

extern const Family family_granite = {"granite", "Granite 3", read_granite};

}  // namespace ddro::models
