// GLM-4 of 2025: as its predecessor, with norms also of what is added.
#include "models/families/families.h"
#include "models/families/llama_like.h"

namespace ddro::models {

ModelSpec read_glm4(const ConfigReader& config) {
  ModelSpec model = read_glm(config);
  norm_inputs_and_results(model, "post_self_attn_layernorm", "post_attention_layernorm",
                          "post_mlp_layernorm");
  return model;
}

}  // namespace ddro::models
