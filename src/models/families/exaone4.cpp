// EXAONE 4: norms of what is added, and of each head's queries and keys. Where some layers have a window, the
// others have no rotary embedding.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_exaone4(const ConfigReader& config) {
  config.ignore({"sliding_window_pattern"});  // beside layer_types it may also be a text, which nothing reads
  const std::int64_t period =
      config.find("layer_types") ? 0 : config.integer("sliding_window_pattern", 1, kMaxLayers).value_or(4);
  const auto window = read_window(config);
  ModelSpec model = read_llama_like(
      config,
      {.vocab_size = 102400,
       .intermediate_size = 16384,
       .max_position_embeddings = 2048,
       .num_key_value_heads = 32,
       .norm_eps = 1e-5},
      {.qk_norm = QkNorm::kHead, .windows = {.size = window, .period = period, .by_layer_types = true}});
  norm_results(model);
  for (LayerSpec& layer : model.layers) {
    if (window && !layer.attention.window)
      layer.attention.rotary = {.theta = layer.attention.rotary.theta, .scaling = {}};
  }
  return model;
}

}  // namespace

extern const Family family_exaone4 = {"exaone4", "EXAONE 4", read_exaone4};

}  // namespace ddro::models
