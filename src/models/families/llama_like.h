// The anatomy that Llama and its relatives share: norms before attention and feed-forward, grouped heads,
// rotary embeddings, a gated feed-forward.
#pragma once

#include <cstdint>
#include <optional>

#include "ddro/models/model_spec.h"
#include "models/config_reader.h"

namespace ddro::models {

// What a family's configuration class in transformers 4.57 assumes for an absent key.
struct LlamaLikeDefaults {
  std::int64_t vocab_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t max_position_embeddings = 0;
  std::optional<std::int64_t> num_key_value_heads = std::nullopt;  // none: as many as query heads
  std::optional<std::int64_t> head_dim = std::nullopt;             // none: hidden size / heads
};

// Layers from `first_layer` on see the last `size` tokens.
struct LayerWindows {
  std::optional<std::int64_t> size = std::nullopt;
  std::int64_t first_layer = 0;
};

// What a family's layers have.
struct LlamaLikeParts {
  bool qkv_bias = false;
  bool output_bias = false;
  bool mlp_bias = false;
  bool qk_norm = false;
  LayerWindows windows = {};
};

// sliding_window; null switches it off.
std::optional<std::int64_t> read_window(const ConfigReader& config);
// use_sliding_window, sliding_window and max_window_layers, as Qwen has them.
LayerWindows read_late_windows(const ConfigReader& config);

ModelSpec read_llama_like(const ConfigReader& config, const LlamaLikeDefaults& defaults,
                          const LlamaLikeParts& parts);

}  // namespace ddro::models
