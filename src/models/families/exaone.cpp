// EXAONE 3 and 3.5: Llama with names of its own.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

void rename(LayerSpec& layer, const std::string& name) {
  AttentionSpec& attention = layer.attention;
  const std::string inside = name + "attn.attention.";
  attention.query.name = inside + "q_proj";
  attention.key.name = inside + "k_proj";
  attention.value.name = inside + "v_proj";
  attention.output.name = inside + "out_proj";
  layer.attention_norm->name = name + "ln_1";
  layer.feed_forward_norm->name = name + "ln_2";
  layer.feed_forward.gate.name = name + "mlp.c_fc_0";
  layer.feed_forward.up.name = name + "mlp.c_fc_1";
  layer.feed_forward.down.name = name + "mlp.c_proj";
}

ModelSpec read_exaone(const ConfigReader& config) {
  refuse_dropout(config, {"embed_dropout"});
  // transformers 5, where the class is Llama's, saves Llama's names of keys.
  const bool of_llama = config.find("num_hidden_layers") != nullptr;
  ModelSpec model = read_llama_like(config,
                                    {.vocab_size = 102400,
                                     .intermediate_size = 8192,
                                     .max_position_embeddings = 2048,
                                     .hidden_size = 2048,
                                     .num_hidden_layers = 32,
                                     .norm_eps = 1e-5,
                                     .norm_eps_key = of_llama ? "rms_norm_eps" : "layer_norm_epsilon",
                                     .activation_key = of_llama ? "hidden_act" : "activation_function",
                                     .num_layers_key = of_llama ? "num_hidden_layers" : "num_layers",
                                     .tie_word_embeddings = true},
                                    {});
  model.embedding_name = "transformer.wte.weight";
  model.final_norm.name = "transformer.ln_f";
  for (size_t i = 0; i < model.layers.size(); ++i)
    rename(model.layers[i], "transformer.h." + std::to_string(i) + ".");
  return model;
}

}  // namespace

extern const Family family_exaone = {"exaone", "EXAONE 3, 3.5, Deep", read_exaone};

}  // namespace ddro::models
