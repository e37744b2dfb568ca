// Qwen 2 and 2.5: queries, keys and values have biases; later layers may have a window.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_qwen2(const ConfigReader& config) {
  config.ignore({"attention_bias", "qkv_bias"});  // its class has these biases whatever a folder says
  return read_llama_like(config,
                         {.vocab_size = 151936,
                          .intermediate_size = 22016,
                          .max_position_embeddings = 32768,
                          .num_key_value_heads = 32},
                         {.qkv_bias = true, .windows = read_late_windows(config)});
}

}  // namespace

extern const Family family_qwen2 = {"qwen2", "Qwen 2 and 2.5, QwQ, DeepSeek-R1-Distill-Qwen", read_qwen2};

}  // namespace ddro::models
