// A random Llama small enough for tests, and random preference examples for it.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

#include "ddro/data/dataset.h"
#include "ddro/models/causal_lm.h"

namespace ddro::test {

inline models::ModelConfig tiny_config(bool tied = true) {
  models::ModelConfig config;
  config.model_type = "llama";
  config.vocab_size = 97;
  config.hidden_size = 32;
  config.intermediate_size = 48;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  config.max_position_embeddings = 256;
  config.tie_word_embeddings = tied;
  return config;
}

inline NamedTensors tiny_weights(const models::ModelConfig& config, std::uint64_t seed) {
  at::manual_seed(seed);
  NamedTensors tensors;
  const auto add = [&](const std::string& name, std::vector<std::int64_t> sizes, double scale,
                       double shift = 0) {
    tensors.emplace_back(name, at::randn(sizes, at::kDouble) * scale + shift);
  };
  const std::int64_t d = config.hidden_size;
  const std::int64_t q = config.num_attention_heads * config.head_dim;
  const std::int64_t kv = config.num_key_value_heads * config.head_dim;
  add("model.embed_tokens.weight", {config.vocab_size, d}, 0.5);
  for (std::int64_t i = 0; i < config.num_hidden_layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    add(layer + "input_layernorm.weight", {d}, 0.1, 1);
    add(layer + "self_attn.q_proj.weight", {q, d}, 0.2);
    add(layer + "self_attn.k_proj.weight", {kv, d}, 0.2);
    add(layer + "self_attn.v_proj.weight", {kv, d}, 0.2);
    add(layer + "self_attn.o_proj.weight", {d, q}, 0.2);
    add(layer + "post_attention_layernorm.weight", {d}, 0.1, 1);
    add(layer + "mlp.gate_proj.weight", {config.intermediate_size, d}, 0.2);
    add(layer + "mlp.up_proj.weight", {config.intermediate_size, d}, 0.2);
    add(layer + "mlp.down_proj.weight", {d, config.intermediate_size}, 0.2);
  }
  add("model.norm.weight", {d}, 0.1, 1);
  if (!config.tie_word_embeddings) add("lm_head.weight", {config.vocab_size, d}, 0.3);
  return tensors;
}

inline std::unique_ptr<models::CausalLm> tiny_model(const models::ModelConfig& config, std::uint64_t seed,
                                                    at::ScalarType dtype, bool trainable) {
  models::BuildOptions options;
  options.dtype = dtype;
  options.trainable = trainable;
  return models::make_causal_lm(config, tiny_weights(config, seed), options);
}

// `num_pairs` pairs (every third one with prompts that differ), or twice as many single completions, of
// random ids, lengths and weights. Three of four prompts begin with the same five ids.
inline data::Dataset random_dataset(std::int64_t num_pairs, bool paired, std::uint64_t seed) {
  at::manual_seed(seed);
  const auto random = [](std::int64_t low, std::int64_t high) {
    return at::randint(low, high, {1}).item<std::int64_t>();
  };
  const auto ids = [&](std::int64_t count) {
    std::vector<text::TokenId> out;
    for (std::int64_t i = 0; i < count; ++i) out.push_back(static_cast<text::TokenId>(random(0, 97)));
    return out;
  };
  data::Dataset dataset;
  dataset.kind = paired ? data::RowKind::kPaired : data::RowKind::kUnpaired;
  const std::vector<text::TokenId> beginning = ids(5);
  for (std::int64_t i = 0; i < num_pairs; ++i) {
    std::vector<text::TokenId> prompt = ids(random(1, 9));
    if (i % 4 != 3) prompt.insert(prompt.begin(), beginning.begin(), beginning.end());
    std::vector<data::EncodedSequence> sequences;
    for (const auto row_class : {data::RowClass::kChosen, data::RowClass::kRejected}) {
      data::EncodedSequence sequence;
      sequence.ids = prompt;
      if (i % 3 == 2 && row_class == data::RowClass::kRejected)
        sequence.ids.back() = (sequence.ids.back() + 1) % 97;
      sequence.completion_start = static_cast<std::int64_t>(prompt.size());
      const std::vector<text::TokenId> completion = ids(random(1, 14));
      sequence.ids.insert(sequence.ids.end(), completion.begin(), completion.end());
      sequence.row_class = row_class;
      sequences.push_back(std::move(sequence));
    }
    const auto add = [&](std::vector<data::EncodedSequence> parts) {
      data::EncodedExample example;
      example.row = static_cast<std::int64_t>(dataset.examples.size());
      example.weight = 1 + static_cast<double>(example.row % 2);
      example.sequences = std::move(parts);
      dataset.examples.push_back(std::move(example));
      dataset.wheres.push_back("random:" + std::to_string(dataset.examples.size()));
    };
    if (paired) {
      add(std::move(sequences));
    } else {
      add({sequences[0]});
      add({sequences[1]});
    }
  }
  return dataset;
}

}  // namespace ddro::test
