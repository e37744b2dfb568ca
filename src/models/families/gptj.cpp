// GPT-J: layer norms; attention and feed-forward side by side; a part of each head turns, in interleaved
// pairs.
#include "models/family.h"
#include "models/family_parts/gpt2_like.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

// How many numbers of a head turn. Without rotary_dim transformers counts frequencies by the hidden size.
std::int64_t read_rotary_width(const ConfigReader& config, std::int64_t head_dim) {
  const auto given = config.integer("rotary_dim", 2, head_dim);
  const std::int64_t width = given.value_or(64);
  if (width % 2 != 0 || width > head_dim || (config.has("rotary_dim") && !given)) {
    config.fail("rotary_dim", "must be an even part of a head's " + std::to_string(head_dim) +
                                  " numbers; got " + (given ? std::to_string(width) : "null"));
  }
  return width;
}

AttentionSpec read_attention(const ConfigReader& config, std::int64_t width) {
  AttentionSpec attention;
  attention.num_heads = attention.num_key_value_heads = config.integer("n_head", 1, kMaxHeads).value_or(16);
  attention.head_dim = divide_heads(config, width, "n_head", attention.num_heads);
  attention.rotary = {
      .scaling = {}, .width = read_rotary_width(config, attention.head_dim), .interleaved = true};
  return attention;
}

AttentionSpec attention_at(AttentionSpec attention, const std::string& name, std::int64_t width) {
  attention.query = {name + "q_proj", width, width};
  attention.key = {name + "k_proj", width, width};
  attention.value = {name + "v_proj", width, width};
  attention.output = {name + "out_proj", width, width};
  return attention;
}

ModelSpec read_gptj(const ConfigReader& config) {
  refuse_dropout(config, {"attn_pdrop", "embd_pdrop", "resid_pdrop"});
  config.expect("rotary", true);
  config.expect("scale_attn_weights", true);
  ModelSpec model = read_gpt2_like(config, {.vocab_size = 50400,
                                            .width = 4096,
                                            .positions = 2048,
                                            .num_layers = 28,
                                            .tie_word_embeddings = false,
                                            .up = "fc_in",
                                            .down = "fc_out",
                                            .learned_positions = false,
                                            .parallel_residual = true});
  model.head_bias_name = "lm_head.bias";
  const AttentionSpec attention = read_attention(config, model.hidden_size);
  for (size_t i = 0; i < model.layers.size(); ++i)
    model.layers[i].attention = attention_at(attention, gpt2_layer_prefix(i) + "attn.", model.hidden_size);
  return model;
}

}  // namespace

extern const Family family_gptj = {"gptj", "GPT-J 6B", read_gptj};

}  // namespace ddro::models
