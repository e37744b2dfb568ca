#include "models/family_parts/gpt2_like.h"

#include <utility>

#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {

std::string gpt2_layer_prefix(size_t layer) { return "transformer.h." + std::to_string(layer) + "."; }

ModelSpec read_gpt2_like(const ConfigReader& config, const Gpt2LikeParts& parts) {
  ModelSpec model;
  const std::int64_t width = model.hidden_size = config.size(parts.width_key, parts.width);
  const std::int64_t inner = config.size(parts.inner_key, 4 * width);
  model.vocab_size = config.size("vocab_size", parts.vocab_size);
  model.max_position_embeddings = config.size(parts.positions_key, parts.positions);
  model.norm_kind = NormKind::kLayer;
  model.norm_eps = config.positive("layer_norm_epsilon").value_or(1e-5);
  model.tie_word_embeddings = config.boolean("tie_word_embeddings", parts.tie_word_embeddings);
  model.parallel_residual = parts.parallel_residual;
  model.embedding_name = "transformer.wte.weight";
  if (parts.learned_positions)
    model.positions = PositionSpec{"transformer.wpe.weight", model.max_position_embeddings};
  model.head_name = "lm_head.weight";
  model.final_norm = {"transformer.ln_f", width, true};
  const Activation activation = read_activation(config, "activation_function", Activation::kGeluTanh);
  const std::int64_t num_layers =
      config.integer(parts.num_layers_key, 1, kMaxLayers).value_or(parts.num_layers);
  for (size_t i = 0; i < static_cast<size_t>(num_layers); ++i) {
    const std::string name = gpt2_layer_prefix(i);
    LayerSpec layer;
    layer.attention_norm = NormSpec{name + "ln_1", width, true};
    if (!parts.parallel_residual) layer.feed_forward_norm = NormSpec{name + "ln_2", width, true};
    layer.feed_forward.up = {name + "mlp." + parts.up, width, inner, true};
    layer.feed_forward.down = {name + "mlp." + parts.down, inner, width, true};
    layer.feed_forward.activation = activation;
    model.layers.push_back(std::move(layer));
  }
  return model;
}

}  // namespace ddro::models
