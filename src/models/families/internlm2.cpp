// InternLM 2 and 2.5: Llama with one product for queries, keys and values, by groups, and with names of its
// own.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

void rename(LayerSpec& layer, const std::string& name, std::int64_t width) {
  AttentionSpec& attention = layer.attention;
  attention.fused = {name + "attention.wqkv", width, attention.query.out + 2 * attention.key.out,
                     attention.query.bias};
  attention.fused_groups = attention.num_key_value_heads;
  for (LinearSpec* part : {&attention.query, &attention.key, &attention.value}) part->name.clear();
  attention.output.name = name + "attention.wo";
  layer.attention_norm->name = name + "attention_norm";
  layer.feed_forward_norm->name = name + "ffn_norm";
  layer.feed_forward.gate.name = name + "feed_forward.w1";
  layer.feed_forward.up.name = name + "feed_forward.w3";
  layer.feed_forward.down.name = name + "feed_forward.w2";
}

ModelSpec read_internlm2(const ConfigReader& config) {
  const bool bias = config.boolean("bias", true);
  ModelSpec model = read_llama_like(
      config, {.vocab_size = 103168, .intermediate_size = 11008, .max_position_embeddings = 2048},
      {.qkv_bias = bias, .output_bias = bias});
  model.embedding_name = "model.tok_embeddings.weight";
  model.head_name = "output.weight";
  for (size_t i = 0; i < model.layers.size(); ++i)
    rename(model.layers[i], layer_prefix(i), model.hidden_size);
  return model;
}

}  // namespace

extern const Family family_internlm2 = {"internlm2", "InternLM 2 and 2.5", read_internlm2};

}  // namespace ddro::models
