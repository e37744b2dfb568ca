// Ministral: layer_types says which layers have the window.
#include "models/families/families.h"
#include "models/families/llama_like.h"

namespace ddro::models {

ModelSpec read_ministral(const ConfigReader& config) {
  return read_llama_like(config,
                         {.vocab_size = 32000,
                          .intermediate_size = 14336,
                          .max_position_embeddings = 131072,
                          .num_key_value_heads = 8},
                         {.windows = {.size = read_window(config), .by_layer_types = true}});
}

}  // namespace ddro::models
