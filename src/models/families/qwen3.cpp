// Qwen 3: a norm of each head's queries and keys; heads of a width of their own.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_qwen3(const ConfigReader& config) {
  config.expect("use_qk_norm", true);
  const bool attention_bias = config.boolean("attention_bias", false);
  return read_llama_like(config,
                         {.vocab_size = 151936,
                          .intermediate_size = 22016,
                          .max_position_embeddings = 32768,
                          .num_key_value_heads = 32,
                          .head_dim = 128},
                         {.qkv_bias = attention_bias,
                          .output_bias = attention_bias,
                          .qk_norm = QkNorm::kHead,
                          .windows = read_late_windows(config)});
}

}  // namespace

extern const Family family_qwen3 = {"qwen3", "Qwen 3", read_qwen3};

}  // namespace ddro::models
