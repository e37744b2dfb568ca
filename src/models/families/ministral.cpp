// Ministral: layer_types says which layers have the window.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_ministral(const ConfigReader& config) {
  return read_llama_like(config,
                         {.vocab_size = 32000,
                          .intermediate_size = 14336,
                          .max_position_embeddings = 131072,
                          .num_key_value_heads = 8},
                         {.windows = {.size = read_window(config), .by_layer_types = true}});
}

}  // namespace

extern const Family family_ministral = {"ministral", "Ministral", read_ministral};

}  // namespace ddro::models
