// Llama 2 and 3, SmolLM 1 and 2, and whatever else was saved as one.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_llama(const ConfigReader& config) {
  const bool attention_bias = config.boolean("attention_bias", false);
  return read_llama_like(config,
                         {.vocab_size = 32000, .intermediate_size = 11008, .max_position_embeddings = 2048},
                         {.qkv_bias = attention_bias,
                          .output_bias = attention_bias,
                          .mlp_bias = config.boolean("mlp_bias", false)});
}

}  // namespace

extern const Family family_llama = {
    "llama", "Llama 2 and 3, SmolLM 1 and 2, TinyLlama, Yi, DeepSeek-R1-Distill-Llama", read_llama};

}  // namespace ddro::models
