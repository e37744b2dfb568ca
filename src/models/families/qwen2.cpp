// Qwen 2 and 2.5: queries, keys and values have biases; later layers may have a window.
#include "models/families/families.h"
#include "models/families/llama_like.h"

namespace ddro::models {

ModelSpec read_qwen2(const ConfigReader& config) {
  return read_llama_like(config,
                         {.vocab_size = 151936,
                          .intermediate_size = 22016,
                          .max_position_embeddings = 32768,
                          .num_key_value_heads = 32},
                         {.qkv_bias = true, .windows = read_late_windows(config)});
}

}  // namespace ddro::models
