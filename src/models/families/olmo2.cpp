// OLMo 2: norms of what is added instead of what is read, and of all queries and all keys of a token.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_olmo2(const ConfigReader& config) {
  const bool bias = config.boolean("attention_bias", false);
  ModelSpec model = read_llama_like(
      config,
      {.vocab_size = 50304, .intermediate_size = 11008, .max_position_embeddings = 2048, .norm_eps = 1e-5},
      {.qkv_bias = bias, .output_bias = bias, .qk_norm = QkNorm::kAllHeads});
  norm_results(model);
  return model;
}

}  // namespace

extern const Family family_olmo2 = {"olmo2", "OLMo 2", read_olmo2};

}  // namespace ddro::models
