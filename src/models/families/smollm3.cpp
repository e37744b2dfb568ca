// SmolLM 3: every fourth layer has no rotary embedding.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

// no_rope_layers has a 1 for each layer with a rotary embedding; without it, each no_rope_layer_interval-th
// has none.
std::vector<bool> read_layers_with_rope(const ConfigReader& config, size_t num_layers) {
  std::vector<bool> with_rope;
  const Json* listed = config.find("no_rope_layers");
  const auto interval =
      static_cast<size_t>(config.integer("no_rope_layer_interval", 1, kMaxLayers).value_or(4));
  if (listed && (!listed->is_array() || listed->size() != num_layers))
    config.fail("no_rope_layers", "must have a 0 or 1 for each layer; got " + shown(*listed));
  for (size_t i = 0; i < num_layers; ++i)
    with_rope.push_back(listed ? (*listed)[i] != 0 : (i + 1) % interval != 0);
  return with_rope;
}

ModelSpec read_smollm3(const ConfigReader& config) {
  const bool bias = config.boolean("attention_bias", false);
  config.ignore({"sliding_window", "max_window_layers"});  // without use_sliding_window
  LayerWindows windows{.by_layer_types = true};
  if (config.boolean("use_sliding_window", false)) windows.size = read_window(config, std::nullopt);
  ModelSpec model = read_llama_like(config,
                                    {.vocab_size = 128256,
                                     .intermediate_size = 11008,
                                     .max_position_embeddings = 32768,
                                     .num_key_value_heads = 4,
                                     .hidden_size = 2048,
                                     .num_hidden_layers = 36,
                                     .num_attention_heads = 16,
                                     .tie_word_embeddings = true,
                                     .rotary = {.theta = 2e6}},
                                    {.qkv_bias = bias,
                                     .output_bias = bias,
                                     .mlp_bias = config.boolean("mlp_bias", false),
                                     .windows = windows});
  const std::vector<bool> with_rope = read_layers_with_rope(config, model.layers.size());
  for (size_t i = 0; i < model.layers.size(); ++i) {
    AttentionSpec& attention = model.layers[i].attention;
    if (with_rope[i] && !config.find("layer_types")) attention.window.reset();
    if (!with_rope[i]) attention.rotary = {.theta = attention.rotary.theta, .scaling = {}};
  }
  return model;
}

}  // namespace

extern const Family family_smollm3 = {"smollm3", "SmolLM 3", read_smollm3};

}  // namespace ddro::models
