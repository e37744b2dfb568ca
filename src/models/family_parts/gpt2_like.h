// The anatomy that GPT-2 and its relatives share: tensors named transformer.h.N.ln_1 and so on, layer norms
// with biases, a feed-forward without a gate. A family's file adds the attention, and changes what it has
// otherwise.
#pragma once

#include <cstdint>
#include <string>

#include "ddro/models/model_spec.h"
#include "models/config_reader.h"

namespace ddro::models {

// What a family's configuration class in transformers 4.57 assumes for an absent key, and the keys that not
// all name alike.
struct Gpt2LikeParts {
  std::int64_t vocab_size = 50257;
  std::int64_t width = 768;
  std::int64_t positions = 1024;
  std::int64_t num_layers = 12;
  bool tie_word_embeddings = true;
  const char* width_key = "n_embd";
  const char* inner_key = "n_inner";
  const char* positions_key = "n_positions";
  const char* num_layers_key = "n_layer";
  const char* up = "c_fc";
  const char* down = "c_proj";
  bool learned_positions = true;
  bool parallel_residual = false;  // attention and feed-forward read one norm of x, ln_1
};

// All but the layers' attention.
ModelSpec read_gpt2_like(const ConfigReader& config, const Gpt2LikeParts& parts);

std::string gpt2_layer_prefix(size_t layer);  // "transformer.h.3."

}  // namespace ddro::models
