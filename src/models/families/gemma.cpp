// Gemma 1: norms store their weights minus one; embeddings are scaled by the root of the width.
#include <cmath>

#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

// "gelu", as the first folders say, means the form by tanh, with which the models were trained; transformers
// 5 takes it so, too. hidden_activation says the same or nothing.
void read_tanh_for_gelu(const ConfigReader& config, ModelSpec& model) {
  for (LayerSpec& layer : model.layers) {
    Activation& activation = layer.feed_forward.activation;
    if (activation == Activation::kGelu) activation = Activation::kGeluTanh;
    if (read_activation(config, "hidden_activation", activation) != activation)
      config.fail("hidden_activation", "and hidden_act differ");
  }
}

ModelSpec read_gemma(const ConfigReader& config) {
  config.expect("use_bidirectional_attention", false);
  const bool bias = config.boolean("attention_bias", false);
  ModelSpec model =
      read_llama_like(config,
                      {.vocab_size = 256000,
                       .intermediate_size = 24576,
                       .max_position_embeddings = 8192,
                       .num_key_value_heads = 16,
                       .head_dim = 256,
                       .hidden_size = 3072,
                       .num_hidden_layers = 28,
                       .num_attention_heads = 16,
                       .activation = Activation::kGeluTanh,
                       .tie_word_embeddings = true},
                      {.qkv_bias = bias, .output_bias = bias, .norm_kind = NormKind::kRmsPlusOne});
  read_tanh_for_gelu(config, model);
  model.embedding_scale = std::sqrt(static_cast<double>(model.hidden_size));
  return model;
}

}  // namespace

extern const Family family_gemma = {"gemma", "Gemma 1, CodeGemma", read_gemma};

}  // namespace ddro::models
