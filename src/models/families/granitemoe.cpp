// Granite 3 with experts.
#include "models/family.h"
#include "models/family_parts/experts_config.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_granitemoe(const ConfigReader& config) {
  config.expect("position_embedding_type", "rope");
  const bool bias = config.boolean("attention_bias", false);
  ModelSpec model = read_llama_like(
      config, {.vocab_size = 32000, .intermediate_size = 11008, .max_position_embeddings = 2048},
      {.qkv_bias = bias, .output_bias = bias, .mixture = true});
  read_multipliers(config, model);
  mix_stacked_experts(config, model,
                      {.num_experts = 8,
                       .num_experts_per_tok = 2,
                       .width = config.size("intermediate_size", 11008),
                       .num_experts_key = "num_local_experts",
                       .normalized = true,
                       .module = "block_sparse_moe",
                       .router = "router.layer"});
  return model;
}

}  // namespace

extern const Family family_granitemoe = {"granitemoe", "Granite 3 1B-A400M and 3B-A800M", read_granitemoe};

}  // namespace ddro::models
