// Qwen 1.5 and 2 with experts: biases of queries, keys and values; beside the experts one that every token
// goes through, weighted by a gate.
#include "models/family.h"
#include "models/family_parts/experts_config.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

// transformers' implementations of attention do not agree on which layers it is for.
void refuse_windows(const ConfigReader& config) {
  config.expect("use_sliding_window", false);
  config.ignore({"sliding_window", "max_window_layers"});
}

void add_shared_expert(ModelSpec& model, std::int64_t inner) {
  const std::int64_t width = model.hidden_size;
  for (size_t i = 0; i < model.layers.size(); ++i) {
    auto& experts = model.layers[i].experts;
    if (!experts) continue;
    const std::string name = layer_prefix(i) + "mlp.shared_expert";
    experts->shared = FeedForwardSpec{.gate = {name + ".gate_proj", width, inner},
                                      .up = {name + ".up_proj", width, inner},
                                      .down = {name + ".down_proj", inner, width},
                                      .fused = {},
                                      .activation = experts->experts.front().activation};
    experts->shared_gate = {name + "_gate", width, 1};
  }
}

ModelSpec read_qwen2_moe(const ConfigReader& config) {
  refuse_windows(config);
  ModelSpec model = read_llama_like(config,
                                    {.vocab_size = 151936,
                                     .intermediate_size = 5632,
                                     .max_position_embeddings = 32768,
                                     .num_key_value_heads = 16,
                                     .hidden_size = 2048,
                                     .num_hidden_layers = 24,
                                     .num_attention_heads = 16},
                                    {.qkv_bias = config.boolean("qkv_bias", true), .mixture = true});
  mix_experts(config, model,
              {.num_experts = 60,
               .num_experts_per_tok = 4,
               .width = config.size("moe_intermediate_size", 1408),
               .normalized = config.boolean("norm_topk_prob", false)},
              read_sparse_layers(config, model.layers.size()));
  add_shared_expert(model, config.size("shared_expert_intermediate_size", 5632));
  return model;
}

}  // namespace

extern const Family family_qwen2_moe = {"qwen2_moe", "Qwen 1.5 A2.7B, Qwen 2 57B-A14B", read_qwen2_moe};

}  // namespace ddro::models
