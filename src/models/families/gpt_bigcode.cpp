// StarCoder 1 and SantaCoder: learned positions, layer norms, biases, and one head for keys and values.
#include "models/family.h"
#include "models/family_parts/gpt2_like.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

// One key and one value head behind all query heads; or each head's query, key and value together.
AttentionSpec read_attention(const ConfigReader& config, std::int64_t width) {
  AttentionSpec attention;
  attention.num_heads = attention.num_key_value_heads = config.integer("n_head", 1, kMaxHeads).value_or(12);
  attention.head_dim = divide_heads(config, width, "n_head", attention.num_heads);
  if (config.boolean("multi_query", true)) {
    attention.num_key_value_heads = 1;
  } else {
    attention.fused_groups = attention.num_heads;
  }
  if (!config.boolean("scale_attn_weights", true)) attention.scale = 1;
  return attention;
}

AttentionSpec attention_at(AttentionSpec attention, const std::string& name, std::int64_t width) {
  const std::int64_t keys = attention.num_key_value_heads * attention.head_dim;
  attention.query = {"", width, width};
  attention.key = attention.value = {"", width, keys};
  attention.fused = {name + "c_attn", width, width + 2 * keys, true};
  attention.output = {name + "c_proj", width, width, true};
  return attention;
}

ModelSpec read_gpt_bigcode(const ConfigReader& config) {
  config.expect("add_cross_attention", false);
  config.ignore(
      {"num_key_value_heads", "pad_key_length", "validate_runner_input"});  // as multi_query; of caches
  ModelSpec model = read_gpt2_like(config, {});
  const AttentionSpec attention = read_attention(config, model.hidden_size);
  for (size_t i = 0; i < model.layers.size(); ++i)
    model.layers[i].attention = attention_at(attention, gpt2_layer_prefix(i) + "attn.", model.hidden_size);
  note_dropout(config, {"attn_pdrop", "embd_pdrop", "resid_pdrop"}, model);
  return model;
}

}  // namespace

extern const Family family_gpt_bigcode = {"gpt_bigcode", "StarCoder 1, StarCoderBase, SantaCoder",
                                          read_gpt_bigcode};

}  // namespace ddro::models
