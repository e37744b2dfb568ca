// MiniCPM: Llama with embeddings, residuals and logits that are scaled.
#include <cmath>

#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

// Its code computes logits otherwise when they are cut, and attends to parts of long texts.
void refuse_what_is_not_built(const ConfigReader& config) {
  if (config.integer("pretraining_tp", 1, kMaxHeads).value_or(1) != 1)
    config.fail("pretraining_tp",
                "is not supported; got " + shown(*config.find("pretraining_tp")) + ", expected 1");
  if (config.find("sparse_config")) config.fail("sparse_config", "is not supported; expected null");
}

ModelSpec read_minicpm(const ConfigReader& config) {
  refuse_what_is_not_built(config);
  const bool bias = config.boolean("attention_bias", false);
  ModelSpec model = read_llama_like(config,
                                    {.vocab_size = 32000,
                                     .intermediate_size = 11008,
                                     .max_position_embeddings = 2048,
                                     .tie_word_embeddings = true},
                                    {.qkv_bias = bias, .output_bias = bias});
  model.embedding_scale = config.positive("scale_emb").value_or(1);
  model.residual_scale =
      config.positive("scale_depth").value_or(1) / std::sqrt(static_cast<double>(model.layers.size()));
  model.logit_scale = config.positive("dim_model_base").value_or(1) / static_cast<double>(model.hidden_size);
  return model;
}

}  // namespace

extern const Family family_minicpm = {"minicpm", "MiniCPM 1B and 2B, MiniCPM4 0.5B and 8B", read_minicpm};

}  // namespace ddro::models
