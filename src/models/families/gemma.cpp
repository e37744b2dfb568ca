// Gemma 1: norms store their weights minus one; embeddings are scaled by the root of the width.
#include <cmath>

#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_gemma(const ConfigReader& config) {
  const bool bias = config.boolean("attention_bias", false);
  ModelSpec model =
      read_llama_like(config,
                      {.vocab_size = 256000,
                       .intermediate_size = 24576,
                       .max_position_embeddings = 8192,
                       .num_key_value_heads = 16,
                       .head_dim = 256,
                       .hidden_size = 3072,
                       .num_hidden_layers = 28,
                       .num_attention_heads = 16,
                       .activation = Activation::kGeluTanh,
                       .tie_word_embeddings = true},
                      {.qkv_bias = bias, .output_bias = bias, .norm_kind = NormKind::kRmsPlusOne});
  model.embedding_scale = std::sqrt(static_cast<double>(model.hidden_size));
  return model;
}

}  // namespace

extern const Family family_gemma = {"gemma", "Gemma 1, CodeGemma", read_gemma};

}  // namespace ddro::models
