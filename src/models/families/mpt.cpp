// MPT: ALiBi, layer norms without biases, one product for queries, keys and values.
#include "models/family.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

// What the code of its authors could do, and what transformers takes as given.
void refuse_what_is_not_built(const ConfigReader& config, const ConfigReader& attention) {
  refuse_dropout(config, {"resid_pdrop", "emb_pdrop"});
  refuse_dropout(attention, {"attn_pdrop"});
  config.expect("no_bias", true);
  config.ignore({"learned_pos_emb"});  // beside ALiBi there are none
  attention.expect("alibi", true);
  for (const char* key : {"prefix_lm", "qk_ln", "attn_uses_sequence_id"}) attention.expect(key, false);
  attention.ignore({"attn_impl"});
  if (const auto kind = attention.text("attn_type"); kind && *kind != "multihead_attention") {
    attention.fail("attn_type",
                   "is not supported; got \"" + printable(*kind) + "\", expected multihead_attention");
  }
  if (const auto kind = config.text("norm_type"); kind && !kind->ends_with("layernorm"))
    config.fail("norm_type", "is not supported; got \"" + printable(*kind) + "\", expected layernorm");
  if (const Json* scale = config.find("logit_scale"))
    config.fail("logit_scale", "is not supported; got " + shown(*scale) + ", expected null");
}

AttentionSpec read_attention(const ConfigReader& config, const ConfigReader& parts, std::int64_t width) {
  AttentionSpec attention;
  attention.num_heads = attention.num_key_value_heads = config.integer("n_heads", 1, kMaxHeads).value_or(16);
  attention.head_dim = divide_heads(config, width, "n_heads", attention.num_heads);
  attention.query = attention.key = attention.value = {"", width, width};
  attention.fused = {"attn.Wqkv", width, 3 * width};
  attention.output = {"attn.out_proj", width, width};
  attention.clip = parts.positive("clip_qkv");
  attention.scale = parts.positive("softmax_scale");
  attention.alibi = AlibiSpec{.bias_max = parts.positive("alibi_bias_max").value_or(8)};
  return attention;
}

ModelSpec read_mpt(const ConfigReader& config) {
  const ConfigReader parts = config.object("attn_config");
  refuse_what_is_not_built(config, parts);
  ModelSpec model;
  const std::int64_t width = model.hidden_size = config.size("d_model", 2048);
  const std::int64_t inner = width * config.integer("expansion_ratio", 1, 64).value_or(4);
  model.vocab_size = config.size("vocab_size", 50368);
  model.max_position_embeddings = config.integer("max_seq_len", 1, kMaxPositions).value_or(2048);
  model.norm_kind = NormKind::kLayer;
  model.norm_eps = config.positive("layer_norm_epsilon").value_or(1e-5);
  model.tie_word_embeddings = config.boolean("tie_word_embeddings", true);
  model.embedding_name = "transformer.wte.weight";
  model.head_name = "lm_head.weight";
  model.final_norm = {"transformer.norm_f", width};
  const AttentionSpec attention = read_attention(config, parts, width);
  const std::int64_t num_layers = config.integer("n_layers", 1, kMaxLayers).value_or(24);
  for (std::int64_t i = 0; i < num_layers; ++i) {
    const std::string name = "transformer.blocks." + std::to_string(i) + ".";
    LayerSpec layer;
    layer.attention_norm = NormSpec{name + "norm_1", width};
    layer.attention = attention;
    layer.attention.fused.name.insert(0, name);
    layer.attention.output.name.insert(0, name);
    layer.feed_forward_norm = NormSpec{name + "norm_2", width};
    layer.feed_forward.up = {name + "ffn.up_proj", width, inner};
    layer.feed_forward.down = {name + "ffn.down_proj", inner, width};
    layer.feed_forward.activation = Activation::kGelu;
    model.layers.push_back(std::move(layer));
  }
  return model;
}

}  // namespace

extern const Family family_mpt = {"mpt", "MPT 7B and 30B", read_mpt};

}  // namespace ddro::models
