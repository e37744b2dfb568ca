// Qwen 3 with experts; where there is a window, every layer has it.
#include "models/family.h"
#include "models/family_parts/experts_config.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_qwen3_moe(const ConfigReader& config) {
  config.expect("use_qk_norm", true);
  const bool bias = config.boolean("attention_bias", false);
  config.ignore({"sliding_window", "max_window_layers"});  // the former without use_sliding_window
  LayerWindows windows;
  if (config.boolean("use_sliding_window", false)) windows.size = read_window(config);
  ModelSpec model = read_llama_like(
      config,
      {.vocab_size = 151936,
       .intermediate_size = 6144,
       .max_position_embeddings = 32768,
       .num_key_value_heads = 4,
       .hidden_size = 2048,
       .num_hidden_layers = 24},
      {.qkv_bias = bias, .output_bias = bias, .qk_norm = QkNorm::kHead, .windows = windows, .mixture = true});
  mix_experts(config, model,
              {.num_experts = 128,
               .num_experts_per_tok = 8,
               .width = config.size("moe_intermediate_size", 768),
               .normalized = config.boolean("norm_topk_prob", false)},
              read_sparse_layers(config, model.layers.size()));
  return model;
}

}  // namespace

extern const Family family_qwen3_moe = {"qwen3_moe", "Qwen 3 30B-A3B and 235B-A22B", read_qwen3_moe};

}  // namespace ddro::models
