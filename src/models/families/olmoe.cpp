// OLMoE: experts, norms of all heads' queries and keys, which may be cut behind them.
#include "models/family.h"
#include "models/family_parts/experts_config.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_olmoe(const ConfigReader& config) {
  const bool bias = config.boolean("attention_bias", false);
  ModelSpec model =
      read_llama_like(config,
                      {.vocab_size = 50304,
                       .intermediate_size = 2048,
                       .max_position_embeddings = 4096,
                       .hidden_size = 2048,
                       .num_hidden_layers = 16,
                       .num_attention_heads = 16,
                       .norm_eps = 1e-5},
                      {.qkv_bias = bias, .output_bias = bias, .qk_norm = QkNorm::kAllHeads, .mixture = true});
  for (LayerSpec& layer : model.layers) layer.attention.clip = config.positive("clip_qkv");
  mix_experts(config, model,
              {.num_experts = 64,
               .num_experts_per_tok = 8,
               .width = config.size("intermediate_size", 2048),
               .router_aux_loss_coef = 0.01,
               .normalized = config.boolean("norm_topk_prob", false)});
  return model;
}

}  // namespace

extern const Family family_olmoe = {"olmoe", "OLMoE", read_olmoe};

}  // namespace ddro::models
