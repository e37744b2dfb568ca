// OLMo 1: layer norms without weights; queries, keys and values may be cut.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_olmo(const ConfigReader& config) {
  const bool bias = config.boolean("attention_bias", false);
  ModelSpec model = read_llama_like(
      config, {.vocab_size = 50304, .intermediate_size = 11008, .max_position_embeddings = 2048},
      {.qkv_bias = bias, .output_bias = bias, .norm_kind = NormKind::kLayer});
  model.norm_eps = 1e-5;
  model.final_norm.name.clear();
  for (LayerSpec& layer : model.layers) {
    layer.attention_norm->name.clear();
    layer.feed_forward_norm->name.clear();
    layer.attention.clip = config.positive("clip_qkv");
  }
  return model;
}

}  // namespace

extern const Family family_olmo = {"olmo", "OLMo 1", read_olmo};

}  // namespace ddro::models
