// Seed-OSS: queries, keys and values have biases; heads have a width of their own.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_seed_oss(const ConfigReader& config) {
  ModelSpec model = read_llama_like(config,
                                    {.vocab_size = 155136,
                                     .intermediate_size = 27648,
                                     .max_position_embeddings = 524288,
                                     .num_key_value_heads = 8,
                                     .head_dim = 128,
                                     .num_hidden_layers = 64,
                                     .num_attention_heads = 80,
                                     .drops_out = true},
                                    {.qkv_bias = config.boolean("attention_bias", true),
                                     .output_bias = config.boolean("attention_out_bias", false),
                                     .mlp_bias = config.boolean("mlp_bias", false)});
  note_dropout(config, {"residual_dropout"}, model);
  return model;
}

}  // namespace

extern const Family family_seed_oss = {"seed_oss", "Seed-OSS", read_seed_oss};

}  // namespace ddro::models
