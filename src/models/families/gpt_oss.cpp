// gpt-oss: attention sinks, a window in every other layer, and experts whose activation is limited.
#include "models/family.h"
#include "models/family_parts/experts_config.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

constexpr double kSwigluLimit = 7;  // of transformers' class, which reads no other

void refuse_what_is_not_built(const ConfigReader& config) {
  if (!config.find("rope_scaling") && !config.find("rope_parameters"))
    config.fail("rope_scaling", "is missing; expected one, as published models have it");
  config.expect("swiglu_limit", kSwigluLimit);
  config.expect("swiglu_alpha", 1.702);
  config.expect("attention_bias", true);
  config.ignore({"experts_per_token", "initial_context_length"});  // of its authors' code
}

// Every expert in one: tensors without the usual endings, stored as inputs x outputs.
LinearSpec stacked(const std::string& name, std::int64_t in, std::int64_t out, std::int64_t count) {
  return {.name = name,
          .in = in,
          .out = out,
          .bias = true,
          .transposed = true,
          .stacked = count,
          .bare = true,
          .adaptable = false};
}

ModelSpec read_gpt_oss(const ConfigReader& config) {
  refuse_what_is_not_built(config);
  ModelSpec model =
      read_llama_like(config,
                      {.vocab_size = 201088,
                       .intermediate_size = 2880,
                       .max_position_embeddings = 131072,
                       .num_key_value_heads = 8,
                       .head_dim = 64,
                       .hidden_size = 2880,
                       .num_hidden_layers = 36,
                       .num_attention_heads = 64,
                       .norm_eps = 1e-5,
                       .rotary = {.theta = 150000}},
                      {.qkv_bias = true,
                       .output_bias = true,
                       .windows = {.size = read_window(config, 128), .period = 2, .by_layer_types = true},
                       .mixture = true});
  const MixtureParts parts = {.num_experts = 128,
                              .num_experts_per_tok = 4,
                              .width = config.size("intermediate_size", 2880),
                              .router_aux_loss_coef = 0.9,
                              .num_experts_key = "num_local_experts",
                              .normalized = true,
                              .router = "router"};
  read_router_loss(config, model, parts);
  const std::int64_t width = model.hidden_size;
  for (size_t i = 0; i < model.layers.size(); ++i) {
    LayerSpec& layer = model.layers[i];
    layer.attention.sinks_name = layer_prefix(i) + "self_attn.sinks";
    const std::string name = layer_prefix(i) + "mlp.";
    ExpertsSpec experts = read_router(config, parts, width, name);
    experts.router.bias = true;
    experts.router.adaptable = false;
    const std::int64_t count = experts.num_experts();
    experts.experts.push_back({.gate = {"", width, parts.width},
                               .up = {"", width, parts.width},
                               .down = stacked(name + "experts.down_proj", parts.width, width, count),
                               .fused = stacked(name + "experts.gate_up_proj", width, 2 * parts.width, count),
                               .interleaved = true,
                               .limit = kSwigluLimit,
                               .activation = layer.feed_forward.activation});
    layer.experts = std::move(experts);
    layer.feed_forward = {};
  }
  return model;
}

}  // namespace

extern const Family family_gpt_oss = {"gpt_oss", "gpt-oss 20B and 120B", read_gpt_oss};

}  // namespace ddro::models
