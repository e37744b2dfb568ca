// config.json of the model families that can be trained.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ddro/base/json.h"

namespace ddro::models {

struct RopeScaling {
  enum class Type { kDefault, kLinear, kLlama3 };
  Type type = Type::kDefault;
  double factor = 1;
  double low_freq_factor = 1;                      // llama3
  double high_freq_factor = 4;                     // llama3
  double original_max_position_embeddings = 8192;  // llama3
};

// Llama and its relatives: llama, mistral, qwen2, qwen3 (SmolLM2 is a llama).
struct ModelConfig {
  std::string model_type;
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t num_hidden_layers = 0;
  std::int64_t num_attention_heads = 0;
  std::int64_t num_key_value_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  bool tie_word_embeddings = false;
  bool qkv_bias = false;
  bool output_bias = false;  // o_proj
  bool mlp_bias = false;
  bool qk_norm = false;  // per-head RMS norm of q and k before the rotary embedding
  std::optional<std::int64_t> sliding_window;
  std::int64_t window_from_layer = 0;  // layers before this one see everything (qwen2's max_window_layers)

  // Parameters of one token's forward matmuls, head excluded; used for FLOP counts.
  std::int64_t num_trunk_matmul_parameters() const;
};

// An absent key has the default of the family's class in Hugging Face transformers. Error(kModel) that names
// the file and the key: families that are not known, values out of range, and whatever would change the
// forward but is not built (other rope types and activations, partial rotary embeddings, quantized weights,
// attention dropout, layer types other than those of `window_from_layer`).
ModelConfig parse_model_config(const Json& config, const std::string& where);

// Every member, by name: models of equal weights and equal descriptions compute the same.
Json describe(const ModelConfig& config);

}  // namespace ddro::models
