// Phi 3 and 4: one product for queries, keys and values and one for gate and up; a part of each head may
// turn.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

ModelSpec read_phi3(const ConfigReader& config) {
  refuse_dropout(config, {"resid_pdrop", "embd_pdrop"});
  ModelSpec model = read_llama_like(
      config,
      {.vocab_size = 32064,
       .intermediate_size = 8192,
       .max_position_embeddings = 4096,
       .hidden_size = 3072,
       .norm_eps = 1e-5,
       .rotary = {.partial_key = "partial_rotary_factor", .original_max_position_embeddings = 4096}},
      {.windows = {.size = read_window(config, std::nullopt)}});
  fuse_gate_and_up(model);
  for (size_t i = 0; i < model.layers.size(); ++i) {
    AttentionSpec& attention = model.layers[i].attention;
    for (LinearSpec* part : {&attention.query, &attention.key, &attention.value}) part->name.clear();
    attention.fused = {layer_prefix(i) + "self_attn.qkv_proj", model.hidden_size,
                       attention.query.out + 2 * attention.key.out};
  }
  return model;
}

}  // namespace

extern const Family family_phi3 = {"phi3", "Phi 3, 3.5, 4, 4-mini", read_phi3};

}  // namespace ddro::models
