// Hunyuan without experts: a norm of each head's queries and keys behind the rotary embedding.
#include <cmath>

#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

// Beside the type `dynamic`: turns are slowed down by a larger base, whatever a sequence's length.
double read_alpha(const ConfigReader& config) {
  const char* key = config.find("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (!config.find(key)) return 1;
  const ConfigReader rope = config.object(key);
  if (rope.text(rope.find("rope_type") ? "rope_type" : "type") != "dynamic") return 1;
  rope.ignore({"beta_fast", "beta_slow", "mscale", "mscale_all_dim"});  // published beside it, and never read
  return rope.positive("alpha").value_or(1);
}

void norm_turned_heads(AttentionSpec& attention, const std::string& name) {
  attention.query_norm = NormSpec{name + "query_layernorm", attention.head_dim};
  attention.key_norm = NormSpec{name + "key_layernorm", attention.head_dim};
  attention.norms_turned = true;
}

ModelSpec read_hunyuan_v1_dense(const ConfigReader& config) {
  config.expect("use_qk_norm", true);
  config.expect("norm_type", "rms");
  config.ignore({"attention_head_dim"});  // head_dim is read instead
  const bool bias = config.boolean("attention_bias", false);
  ModelSpec model = read_llama_like(
      config,
      {.vocab_size = 290943, .intermediate_size = 11008, .max_position_embeddings = 2048, .norm_eps = 1e-5},
      {.qkv_bias = bias, .output_bias = bias});
  const double alpha = read_alpha(config);
  for (size_t i = 0; i < model.layers.size(); ++i) {
    AttentionSpec& attention = model.layers[i].attention;
    const auto width = static_cast<double>(attention.head_dim);
    attention.rotary.theta *= std::pow(alpha, width / (width - 2));
    norm_turned_heads(attention, layer_prefix(i) + "self_attn.");
  }
  return model;
}

}  // namespace

extern const Family family_hunyuan_v1_dense = {"hunyuan_v1_dense", "Hunyuan 0.5B, 1.8B, 4B, 7B",
                                               read_hunyuan_v1_dense};

}  // namespace ddro::models
