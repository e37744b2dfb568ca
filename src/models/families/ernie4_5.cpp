// ERNIE 4.5 without experts: interleaved rotary embeddings, biases everywhere or nowhere.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_ernie4_5(const ConfigReader& config) {
  const bool bias = config.boolean("use_bias", false);
  return read_llama_like(config,
                         {.vocab_size = 103424,
                          .intermediate_size = 3072,
                          .max_position_embeddings = 131072,
                          .num_key_value_heads = 2,
                          .head_dim = 128,
                          .hidden_size = 1024,
                          .num_hidden_layers = 18,
                          .num_attention_heads = 16,
                          .norm_eps = 1e-5,
                          .tie_word_embeddings = true,
                          .rotary = {.theta = 5e5, .interleaved = true}},
                         {.qkv_bias = bias, .output_bias = bias, .mlp_bias = bias});
}

}  // namespace

extern const Family family_ernie4_5 = {"ernie4_5", "ERNIE 4.5 0.3B", read_ernie4_5};

}  // namespace ddro::models
