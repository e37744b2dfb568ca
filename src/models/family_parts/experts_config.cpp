#include "models/family_parts/experts_config.h"

#include <algorithm>

#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

constexpr std::int64_t kMaxExperts = std::int64_t{1} << 12;

// transformers 4 and 5 write some families' number under different keys.
std::int64_t read_num_experts(const ConfigReader& config, const MixtureParts& parts) {
  config.ignore({"num_experts", "num_local_experts"});
  for (const char* key : {parts.num_experts_key, "num_experts", "num_local_experts"}) {
    if (const auto number = config.integer(key, 1, kMaxExperts)) return *number;
  }
  return parts.num_experts;
}

std::string module_prefix(size_t layer, const MixtureParts& parts) {
  return layer_prefix(layer) + parts.module + ".";
}

}  // namespace

ExpertsSpec read_router(const ConfigReader& config, const MixtureParts& parts, std::int64_t width,
                        const std::string& name) {
  const std::int64_t count = read_num_experts(config, parts);
  ExpertsSpec experts;
  experts.top_k = config.integer("num_experts_per_tok", 1, kMaxExperts).value_or(parts.num_experts_per_tok);
  if (experts.top_k > count) {
    config.fail("num_experts_per_tok", "must be at most " + std::string(parts.num_experts_key) + "; got " +
                                           std::to_string(experts.top_k) + " and " + std::to_string(count));
  }
  experts.router = {name + parts.router, width, count};
  experts.normalized = parts.normalized;
  return experts;
}

void read_router_loss(const ConfigReader& config, ModelSpec& model, const MixtureParts& parts) {
  if (!config.boolean("output_router_logits", false)) return;
  const Json* given = config.find("router_aux_loss_coef");
  if (given && given->is_number() && *given == 0) return;
  model.router_aux_loss_coef = config.positive("router_aux_loss_coef").value_or(parts.router_aux_loss_coef);
}

void mix_experts(const ConfigReader& config, ModelSpec& model, const MixtureParts& parts,
                 const std::vector<bool>& sparse) {
  read_router_loss(config, model, parts);
  const std::int64_t width = model.hidden_size;
  for (size_t i = 0; i < model.layers.size(); ++i) {
    if (!sparse.empty() && !sparse[i]) continue;
    LayerSpec& layer = model.layers[i];
    const Activation activation = layer.feed_forward.activation;
    const std::string module = module_prefix(i, parts);
    layer.experts = read_router(config, parts, width, module);
    for (std::int64_t j = 0; j < layer.experts->num_experts(); ++j) {
      const std::string name = module + "experts." + std::to_string(j) + ".";
      layer.experts->experts.push_back({.gate = {name + parts.gate, width, parts.width},
                                        .up = {name + parts.up, width, parts.width},
                                        .down = {name + parts.down, parts.width, width},
                                        .fused = {},
                                        .activation = activation});
    }
    layer.feed_forward = {};
  }
}

void mix_stacked_experts(const ConfigReader& config, ModelSpec& model, const MixtureParts& parts) {
  read_router_loss(config, model, parts);
  const std::int64_t width = model.hidden_size;
  for (size_t i = 0; i < model.layers.size(); ++i) {
    LayerSpec& layer = model.layers[i];
    const std::string module = module_prefix(i, parts);
    ExpertsSpec experts = read_router(config, parts, width, module);
    const std::int64_t count = experts.num_experts();
    experts.experts.push_back({.gate = {"", width, parts.width},
                               .up = {"", width, parts.width},
                               .down = {.name = module + "output_linear",
                                        .in = parts.width,
                                        .out = width,
                                        .stacked = count,
                                        .adaptable = false},
                               .fused = {.name = module + "input_linear",
                                         .in = width,
                                         .out = 2 * parts.width,
                                         .stacked = count,
                                         .adaptable = false},
                               .activation = layer.feed_forward.activation});
    layer.experts = std::move(experts);
    layer.feed_forward = {};
  }
}

std::vector<bool> read_sparse_layers(const ConfigReader& config, size_t num_layers) {
  const auto step = static_cast<size_t>(config.integer("decoder_sparse_step", 1, kMaxLayers).value_or(1));
  std::vector<bool> sparse;
  for (size_t i = 0; i < num_layers; ++i) sparse.push_back((i + 1) % step == 0);
  const Json* dense = config.find("mlp_only_layers");
  if (!dense) return sparse;
  const bool fits = dense->is_array() && std::all_of(dense->begin(), dense->end(), [](const Json& layer) {
                      return layer.is_number_unsigned();
                    });
  if (!fits) config.fail("mlp_only_layers", "is not a list of layers' numbers; got " + shown(*dense));
  for (const Json& layer : *dense) {
    if (layer.get<size_t>() < num_layers) sparse[layer.get<size_t>()] = false;
  }
  return sparse;
}

}  // namespace ddro::models
