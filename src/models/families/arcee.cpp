// AFM: Llama with squared ReLU in the place of a gated feed-forward.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_arcee(const ConfigReader& config) {
  const bool bias = config.boolean("attention_bias", false);
  ModelSpec model =
      read_llama_like(config,
                      {.vocab_size = 32000,
                       .intermediate_size = 18432,
                       .max_position_embeddings = 4096,
                       .hidden_size = 2560,
                       .norm_eps = 1e-5,
                       .activation = Activation::kReluSquared},
                      {.qkv_bias = bias, .output_bias = bias, .mlp_bias = config.boolean("mlp_bias", false)});
  replace_feed_forward(model, "up_proj", "down_proj");
  return model;
}

}  // namespace

extern const Family family_arcee = {"arcee", "AFM 4.5B", read_arcee};

}  // namespace ddro::models
