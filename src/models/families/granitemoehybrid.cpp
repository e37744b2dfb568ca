// Granite 4 without experts and state spaces: Granite 3 with another feed-forward, and with rotary embeddings
// or none.
#include <algorithm>

#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

void refuse_what_is_not_built(const ConfigReader& config) {
  config.expect("normalization_function", "rmsnorm");
  config.ignore({"num_experts_per_tok", "time_step_limit", "mamba_n_heads", "mamba_d_head", "mamba_n_groups",
                 "mamba_d_state", "mamba_d_conv", "mamba_chunk_size", "mamba_conv_bias",
                 "mamba_expand"});  // of layers that are refused
  const Json* types = config.find("layer_types");
  if (!types) config.fail("layer_types", "is missing, so that all layers are mamba; they are not supported");
  const bool has_mamba =
      types->is_array() && std::find(types->begin(), types->end(), "mamba") != types->end();
  if (has_mamba) config.fail("layer_types", "has mamba layers, which are not supported; expected attention");
  const std::int64_t experts = config.integer("num_local_experts", 0, kMaxSize).value_or(8);
  if (experts != 0) {
    config.fail("num_local_experts",
                "is not supported; got " + std::to_string(experts) + ", expected 0: shared experts alone");
  }
}

bool has_rope(const ConfigReader& config) {
  const auto type = config.text("position_embedding_type");
  if (type && *type != "rope" && *type != "nope") {
    config.fail("position_embedding_type",
                "\"" + printable(*type) + "\" is not supported; expected rope or nope");
  }
  return type == "rope";
}

void replace_by_shared_mlp(ModelSpec& model, std::int64_t inner) {
  const std::int64_t width = model.hidden_size;
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const std::string name = layer_prefix(i) + "shared_mlp.";
    FeedForwardSpec& part = model.layers[i].feed_forward;
    part.gate = part.up = {"", width, inner};
    part.down = {name + "output_linear", inner, width};
    part.fused = {name + "input_linear", width, 2 * inner};
  }
}

ModelSpec read_granitemoehybrid(const ConfigReader& config) {
  refuse_what_is_not_built(config);
  const bool bias = config.boolean("attention_bias", false);
  ModelSpec model = read_llama_like(
      config, {.vocab_size = 32000, .intermediate_size = 11008, .max_position_embeddings = 2048},
      {.qkv_bias = bias, .output_bias = bias, .windows = {.other_type = "attention"}, .mixture = true});
  read_multipliers(config, model);
  replace_by_shared_mlp(model, config.size("shared_intermediate_size", 1024));
  if (has_rope(config)) return model;
  for (LayerSpec& layer : model.layers)
    layer.attention.rotary = {.theta = layer.attention.rotary.theta, .scaling = {}};
  return model;
}

}  // namespace

extern const Family family_granitemoehybrid = {
    "granitemoehybrid", "Granite 4 350M, 1B and Micro, not the H models", read_granitemoehybrid};

}  // namespace ddro::models
