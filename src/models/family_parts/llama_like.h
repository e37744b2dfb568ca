// The anatomy that Llama and its relatives share: tensors named model.layers.N.self_attn.q_proj and so on,
// norms before attention and feed-forward, grouped heads, rotary embeddings, a gated feed-forward. A family's
// file changes what it has otherwise in the result.
#pragma once

#include <cstdint>
#include <optional>

#include "ddro/models/model_spec.h"
#include "models/config_reader.h"
#include "models/family_parts/rotary_config.h"

namespace ddro::models {

// What a family's configuration class in transformers 4.57 assumes for an absent key, and the keys that not
// all name alike.
struct LlamaLikeDefaults {
  std::int64_t vocab_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t max_position_embeddings = 0;
  std::optional<std::int64_t> num_key_value_heads = std::nullopt;  // none: as many as query heads
  std::optional<std::int64_t> head_dim = std::nullopt;             // none: hidden size / heads
  std::int64_t hidden_size = 4096;
  std::int64_t num_hidden_layers = 32;
  std::int64_t num_attention_heads = 32;
  double norm_eps = 1e-6;
  const char* norm_eps_key = "rms_norm_eps";
  Activation activation = Activation::kSilu;
  const char* activation_key = "hidden_act";
  const char* num_layers_key = "num_hidden_layers";
  bool tie_word_embeddings = false;
  bool drops_out = false;  // published models have dropout: it is noted, not refused
  RotaryDefaults rotary = {};
};

// Layers from `first_layer` on see the last `size` tokens, but none whose number (from 1 on) is a multiple of
// `period`. Where `by_layer_types` is true, the key layer_types comes first.
struct LayerWindows {
  std::optional<std::int64_t> size = std::nullopt;
  std::int64_t first_layer = 0;
  std::int64_t period = 0;  // 0: without exception
  bool by_layer_types = false;
  const char* other_type =
      "full_attention";  // or full_attention: what layer_types calls a layer without a window
};

enum class QkNorm { kNone, kHead, kAllHeads };

// What a family's layers have.
struct LlamaLikeParts {
  bool qkv_bias = false;
  bool output_bias = false;
  bool mlp_bias = false;
  bool norm_bias = false;
  NormKind norm_kind = NormKind::kRms;
  QkNorm qk_norm = QkNorm::kNone;
  LayerWindows windows = {};
  bool mixture = false;  // of experts: the family's file puts them in the place of feed-forwards
};

// sliding_window; null switches it off, absent it is `otherwise`.
std::optional<std::int64_t> read_window(const ConfigReader& config,
                                        std::optional<std::int64_t> otherwise = 4096);
// use_sliding_window, sliding_window and max_window_layers, as Qwen has them.
LayerWindows read_late_windows(const ConfigReader& config);
// Dropout other than 0 under one of the keys: there is none here. Refused, or noted in `model`.
void refuse_dropout(const ConfigReader& config, std::initializer_list<const char*> keys);
void note_dropout(const ConfigReader& config, std::initializer_list<const char*> keys, ModelSpec& model);
// Width of a head of a family whose heads are parts of the hidden state; even.
std::int64_t divide_heads(const ConfigReader& config, std::int64_t hidden_size, const char* heads_key,
                          std::int64_t num_heads);
// Experts are refused: for families that have none.
void refuse_experts(const ConfigReader& config);
// embedding_multiplier, residual_multiplier, attention_multiplier and logits_scaling, as Granite has them.
void read_multipliers(const ConfigReader& config, ModelSpec& model);
// A number above 0 that null switches off.
std::optional<double> read_optional(const ConfigReader& config, const char* key,
                                    std::optional<double> otherwise);
// The activation that `key` names; Error(kModel) lists those that are known.
Activation read_activation(const ConfigReader& config, const char* key, Activation otherwise);

ModelSpec read_llama_like(const ConfigReader& config, const LlamaLikeDefaults& defaults,
                          const LlamaLikeParts& parts);

// What several relatives have otherwise, of every layer.

// "model.layers.3."
std::string layer_prefix(size_t layer);
// Norms of x, input_layernorm and the like, become norms of what is added to it: post_attention_layernorm and
// post_feedforward_layernorm.
void norm_results(ModelSpec& model);
// Both: beside input_layernorm, norms with these names.
void norm_inputs_and_results(ModelSpec& model, const std::string& attention_result,
                             const std::string& feed_forward_input, const std::string& feed_forward_result);
// One product for gate and up, mlp.gate_up_proj.
void fuse_gate_and_up(ModelSpec& model);
// Attention and feed-forward read one norm of x, input_layernorm.
void read_in_parallel(ModelSpec& model);
// A feed-forward without a gate, whose products are mlp.UP and mlp.DOWN.
void replace_feed_forward(ModelSpec& model, const std::string& up, const std::string& down);

}  // namespace ddro::models
