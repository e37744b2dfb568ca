// What a decoder-only language model is made of. A family's file (src/models/families) says it once, from
// config.json; the decoder, parameter names and shapes, operation counts, memory estimates and what `inspect`
// prints follow from it.
//
// x = embedding[ids]; for each layer: x += attention(norm(x)); x += feed_forward(norm(x)); then a final norm
// and the head.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ddro/base/json.h"

namespace ddro::models {

// x W^T + b with the tensors NAME.weight (out x in) and, with a bias, NAME.bias (out).
struct LinearSpec {
  std::string name;
  std::int64_t in = 0;
  std::int64_t out = 0;
  bool bias = false;
};

// x / sqrt(mean(x^2) + eps) * w over the last `width` numbers, with the tensor NAME.weight (width).
struct NormSpec {
  std::string name;
  std::int64_t width = 0;
};

struct RopeScaling {
  enum class Type { kDefault, kLinear, kLlama3 };
  Type type = Type::kDefault;
  double factor = 1;
  double low_freq_factor = 1;                      // llama3
  double high_freq_factor = 4;                     // llama3
  double original_max_position_embeddings = 8192;  // llama3

  bool operator==(const RopeScaling&) const = default;
};

// Pairs (j, j + K/2) of a head of width K are turned by position * theta^(-2j/K), scaled.
struct RotarySpec {
  double theta = 10000;
  RopeScaling scaling;

  bool operator==(const RotarySpec&) const = default;
};

// Causal; query head h reads key/value head h * num_key_value_heads / num_heads.
struct AttentionSpec {
  std::int64_t num_heads = 0;
  std::int64_t num_key_value_heads = 0;
  std::int64_t head_dim = 0;
  LinearSpec query, key, value, output;
  std::optional<NormSpec> query_norm, key_norm;  // of each head, before the rotary embedding
  RotarySpec rotary;
  std::optional<std::int64_t> window;  // a token sees the last `window` tokens, itself included
};

// down(silu(gate(x)) * up(x))
struct FeedForwardSpec {
  LinearSpec gate, up, down;
};

struct LayerSpec {
  NormSpec attention_norm;
  AttentionSpec attention;
  NormSpec feed_forward_norm;
  FeedForwardSpec feed_forward;
};

struct ModelSpec {
  std::string model_type;
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t max_position_embeddings = 0;
  double norm_eps = 1e-6;
  bool tie_word_embeddings = false;  // the head is the embedding
  std::string embedding_name;        // of the tensor: V x D
  std::string head_name;             // of the tensor, where it is not tied: V x D
  NormSpec final_norm;
  std::vector<LayerSpec> layers;
};

struct ParameterSpec {
  std::string name;
  std::vector<std::int64_t> shape;
};

// In the fixed order of CausalLm::parameters(); a tied head is absent.
std::vector<ParameterSpec> parameters_of(const ModelSpec& model);

// Multiplications of one token's forward in linear layers, the head excluded.
std::int64_t num_trunk_matmul_parameters(const ModelSpec& model);

// Models of equal weights (names and shapes are theirs) and equal descriptions compute the same.
Json describe(const ModelSpec& model);

// For people: "llama, 30 layers of width 576, ...".
std::string summary(const ModelSpec& model);

}  // namespace ddro::models
