// Mixtures of experts as configurations say them.
#pragma once

#include <string>
#include <vector>

#include "ddro/models/model_spec.h"
#include "models/config_reader.h"

namespace ddro::models {

// How a family names its experts, and what its class assumes for absent keys.
struct MixtureParts {
  std::int64_t num_experts = 0;
  std::int64_t num_experts_per_tok = 0;
  std::int64_t width = 0;  // of an expert
  double router_aux_loss_coef = 0.001;
  const char* num_experts_key = "num_experts";
  bool normalized = false;     // the weights of the chosen experts add up to 1
  const char* module = "mlp";  // of a layer
  const char* router = "gate";
  const char* gate = "gate_proj";
  const char* up = "up_proj";
  const char* down = "down_proj";
};

// Experts MODULE.experts.0.GATE and so on in the place of each layer's feed-forward, with its activation.
// `sparse`: which layers have them; empty: all.
void mix_experts(const ConfigReader& config, ModelSpec& model, const MixtureParts& parts,
                 const std::vector<bool>& sparse = {});

// The same with the tensors of all experts of a layer in one: MODULE.input_linear (gate and up) and
// MODULE.output_linear, as Granite has them.
void mix_stacked_experts(const ConfigReader& config, ModelSpec& model, const MixtureParts& parts);

// What a mixture has but its experts: the router NAME, how many experts it chooses from, how many it chooses.
ExpertsSpec read_router(const ConfigReader& config, const MixtureParts& parts, std::int64_t width,
                        const std::string& name);
// The loss of the routers, where output_router_logits asks for it.
void read_router_loss(const ConfigReader& config, ModelSpec& model, const MixtureParts& parts);

// decoder_sparse_step and mlp_only_layers, as Qwen has them: one a layer.
std::vector<bool> read_sparse_layers(const ConfigReader& config, size_t num_layers);

}  // namespace ddro::models
