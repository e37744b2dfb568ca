// Granite 3 with experts, and beside them one that every token goes through.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {

extern const Family family_granitemoe;  // granitemoe.cpp

namespace {

ModelSpec read_granitemoeshared(const ConfigReader& config) {
  ModelSpec model = family_granitemoe.read(config);
  const std::int64_t inner = config.integer("shared_intermediate_size", 0, kMaxSize).value_or(0);
  if (inner == 0) return model;
  const std::int64_t width = model.hidden_size;
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const std::string name = layer_prefix(i) + "shared_mlp.";
    ExpertsSpec& experts = *model.layers[i].experts;
    experts.shared = FeedForwardSpec{.gate = {"", width, inner},
                                     .up = {"", width, inner},
                                     .down = {name + "output_linear", inner, width},
                                     .fused = {name + "input_linear", width, 2 * inner},
                                     .activation = experts.experts.front().activation};
  }
  return model;
}

}  // namespace

extern const Family family_granitemoeshared = {"granitemoeshared", "Granite MoE with a shared expert",
                                               read_granitemoeshared};

}  // namespace ddro::models
