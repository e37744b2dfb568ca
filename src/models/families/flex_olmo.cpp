// FlexOlmo: OLMo 2 with experts.
#include "models/family.h"
#include "models/family_parts/experts_config.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_flex_olmo(const ConfigReader& config) {
  const bool bias = config.boolean("attention_bias", false);
  ModelSpec model =
      read_llama_like(config,
                      {.vocab_size = 100352,
                       .intermediate_size = 11008,
                       .max_position_embeddings = 4096,
                       .rotary = {.theta = 500000}},
                      {.qkv_bias = bias, .output_bias = bias, .qk_norm = QkNorm::kAllHeads, .mixture = true});
  norm_results(model);
  mix_experts(config, model,
              {.num_experts = 7,
               .num_experts_per_tok = 5,
               .width = config.size("intermediate_size", 11008),
               .router_aux_loss_coef = 0.01,
               .normalized = config.boolean("norm_topk_prob", false)});
  return model;
}

}  // namespace

extern const Family family_flex_olmo = {"flex_olmo", "FlexOlmo 7x7B", read_flex_olmo};

}  // namespace ddro::models
