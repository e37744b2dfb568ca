// Command-R: layer norms without biases; attention and feed-forward side by side; interleaved rotary
// embeddings; scaled logits.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

// Each head has weights of its own.
void add_qk_norms(ModelSpec& model) {
  for (size_t i = 0; i < model.layers.size(); ++i) {
    AttentionSpec& attention = model.layers[i].attention;
    const std::string name = layer_prefix(i) + "self_attn.";
    attention.query_norm = NormSpec{name + "q_norm", attention.head_dim, false, attention.num_heads};
    attention.key_norm = NormSpec{name + "k_norm", attention.head_dim, false, attention.num_key_value_heads};
  }
}

ModelSpec read_cohere(const ConfigReader& config) {
  const bool bias = config.boolean("attention_bias", false);
  ModelSpec model = read_llama_like(config,
                                    {.vocab_size = 256000,
                                     .intermediate_size = 22528,
                                     .max_position_embeddings = 8192,
                                     .hidden_size = 8192,
                                     .num_hidden_layers = 40,
                                     .num_attention_heads = 64,
                                     .norm_eps = 1e-5,
                                     .norm_eps_key = "layer_norm_eps",
                                     .tie_word_embeddings = true,
                                     .rotary = {.interleaved = true}},
                                    {.qkv_bias = bias, .output_bias = bias, .norm_kind = NormKind::kLayer});
  read_in_parallel(model);
  if (config.boolean("use_qk_norm", false)) add_qk_norms(model);
  model.logit_scale = config.positive("logit_scale").value_or(0.0625);
  return model;
}

}  // namespace

extern const Family family_cohere = {"cohere", "Command-R, Command-R+, Aya 23 and Expanse", read_cohere};

}  // namespace ddro::models
