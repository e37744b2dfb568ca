// OLMo 3: as OLMo 2, with a window in three of four layers, whose rotary embedding is never scaled.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_olmo3(const ConfigReader& config) {
  const bool bias = config.boolean("attention_bias", false);
  ModelSpec model = read_llama_like(
      config,
      {.vocab_size = 50304, .intermediate_size = 11008, .max_position_embeddings = 2048, .norm_eps = 1e-5},
      {.qkv_bias = bias,
       .output_bias = bias,
       .qk_norm = QkNorm::kAllHeads,
       .windows = {.size = read_window(config), .period = 4, .by_layer_types = true}});
  norm_results(model);
  for (LayerSpec& layer : model.layers) {
    if (layer.attention.window && !rotary_is_by_layer_kind(config)) layer.attention.rotary.scaling = {};
  }
  return model;
}

}  // namespace

extern const Family family_olmo3 = {"olmo3", "OLMo 3", read_olmo3};

}  // namespace ddro::models
