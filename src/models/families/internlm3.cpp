// InternLM 3: Llama with heads of a width of their own, and biases in two groups.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_internlm3(const ConfigReader& config) {
  const bool bias = config.boolean("bias", false);
  return read_llama_like(
      config, {.vocab_size = 128512, .intermediate_size = 11008, .max_position_embeddings = 32768},
      {.qkv_bias = config.boolean("qkv_bias", false), .output_bias = bias, .mlp_bias = bias});
}

}  // namespace

extern const Family family_internlm3 = {"internlm3", "InternLM 3", read_internlm3};

}  // namespace ddro::models
