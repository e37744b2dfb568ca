// Mistral: every layer has the window.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_mistral(const ConfigReader& config) {
  return read_llama_like(config,
                         {.vocab_size = 32000,
                          .intermediate_size = 14336,
                          .max_position_embeddings = 131072,
                          .num_key_value_heads = 8},
                         {.windows = {.size = read_window(config)}});
}

}  // namespace

extern const Family family_mistral = {"mistral", "Mistral 7B, Nemo, Small", read_mistral};

}  // namespace ddro::models
