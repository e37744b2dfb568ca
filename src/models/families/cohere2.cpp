// Command-R7B and later: as Command-R; three of four layers have a window, and the others no rotary
// embedding.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

// What the published folders say and transformers takes as given.
void expect_published(const ConfigReader& config) {
  config.expect("order_of_interleaved_layers", "local_attn_first");
  config.expect("position_embedding_type", "rope_gptj");
  config.expect("rotary_pct", 1);
  for (const char* key : {"use_embedding_sharing", "use_gated_activation", "use_parallel_block"})
    config.expect(key, true);
}

ModelSpec read_cohere2(const ConfigReader& config) {
  const bool bias = config.boolean("attention_bias", false);
  expect_published(config);
  config.ignore({"_sliding_window_pattern", "layer_switch"});  // layer_types is made from it
  const std::int64_t period = config.integer("sliding_window_pattern", 1, kMaxLayers).value_or(4);
  ModelSpec model =
      read_llama_like(config,
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
                      {.qkv_bias = bias,
                       .output_bias = bias,
                       .norm_kind = NormKind::kLayer,
                       .windows = {.size = read_window(config), .period = period, .by_layer_types = true}});
  read_in_parallel(model);
  model.logit_scale = config.positive("logit_scale").value_or(0.0625);
  for (LayerSpec& layer : model.layers) {
    if (!layer.attention.window)
      layer.attention.rotary = {.theta = layer.attention.rotary.theta, .scaling = {}};
  }
  return model;
}

}  // namespace

extern const Family family_cohere2 = {"cohere2", "Command-R7B, Command-A", read_cohere2};

}  // namespace ddro::models
