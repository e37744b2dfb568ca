// InternLM 3: Llama with heads of a width of their own, and biases in two groups.
#include "models/families/families.h"
#include "models/families/llama_like.h"

namespace ddro::models {

ModelSpec read_internlm3(const ConfigReader& config) {
  const bool bias = config.boolean("bias", false);
  return read_llama_like(
      config, {.vocab_size = 128512, .intermediate_size = 11008, .max_position_embeddings = 32768},
      {.qkv_bias = config.boolean("qkv_bias", false), .output_bias = bias, .mlp_bias = bias});
}

}  // namespace ddro::models
