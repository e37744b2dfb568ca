// StarCoder 2: layer norms, biases, and a feed-forward without a gate.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_starcoder2(const ConfigReader& config) {
  refuse_dropout(config, {"residual_dropout", "embedding_dropout"});
  config.expect("mlp_type", "default");
  config.expect("norm_type", "layer_norm");
  config.expect("scale_attn_weights", true);
  config.ignore(
      {"activation_function", "layer_norm_epsilon"});  // hidden_act and norm_epsilon are read instead
  const bool bias = config.boolean("use_bias", true);
  ModelSpec model = read_llama_like(config,
                                    {.vocab_size = 49152,
                                     .intermediate_size = 12288,
                                     .max_position_embeddings = 4096,
                                     .num_key_value_heads = 2,
                                     .hidden_size = 3072,
                                     .num_hidden_layers = 30,
                                     .num_attention_heads = 24,
                                     .norm_eps = 1e-5,
                                     .norm_eps_key = "norm_epsilon",
                                     .activation = Activation::kGeluTanh,
                                     .tie_word_embeddings = true},
                                    {.qkv_bias = bias,
                                     .output_bias = bias,
                                     .mlp_bias = bias,
                                     .norm_bias = true,
                                     .norm_kind = NormKind::kLayer,
                                     .windows = {.size = read_window(config, std::nullopt)}});
  replace_feed_forward(model, "c_fc", "c_proj");
  return model;
}

}  // namespace

extern const Family family_starcoder2 = {"starcoder2", "StarCoder 2", read_starcoder2};

}  // namespace ddro::models
