// Mixtral: Mistral with experts.
#include "models/family.h"
#include "models/family_parts/experts_config.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_mixtral(const ConfigReader& config) {
  refuse_dropout(config, {"router_jitter_noise"});
  ModelSpec model =
      read_llama_like(config,
                      {.vocab_size = 32000,
                       .intermediate_size = 14336,
                       .max_position_embeddings = 131072,
                       .num_key_value_heads = 8,
                       .norm_eps = 1e-5,
                       .rotary = {.theta = 1e6}},
                      {.windows = {.size = read_window(config, std::nullopt)}, .mixture = true});
  mix_experts(config, model,
              {.num_experts = 8,
               .num_experts_per_tok = 2,
               .width = config.size("intermediate_size", 14336),
               .num_experts_key = "num_local_experts",
               .normalized = true,
               .module = "block_sparse_moe",
               .gate = "w1",
               .up = "w3",
               .down = "w2"});
  return model;
}

}  // namespace

extern const Family family_mixtral = {"mixtral", "Mixtral 8x7B and 8x22B", read_mixtral};

}  // namespace ddro::models
