// GLM-4 of 2025: as its predecessor, with norms also of what is added.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {

extern const Family family_glm;  // glm.cpp

namespace {

ModelSpec read_glm4(const ConfigReader& config) {
  ModelSpec model = family_glm.read(config);
  norm_inputs_and_results(model, "post_self_attn_layernorm", "post_attention_layernorm",
                          "post_mlp_layernorm");
  return model;
}

}  // namespace

extern const Family family_glm4 = {"glm4", "GLM-4 and GLM-Z1 of 2025", read_glm4};

}  // namespace ddro::models
