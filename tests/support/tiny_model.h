// A random Llama, or another family of its keys, small enough for tests, and random preference examples for
// it.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

#include "ddro/data/dataset.h"
#include "ddro/models/causal_lm.h"
#include "ddro/models/model_config.h"

namespace ddro::test {

inline models::ModelSpec tiny_spec(bool tied = true, const char* model_type = "llama") {
  return models::parse_model_config({{"model_type", model_type},
                                     {"vocab_size", 97},
                                     {"hidden_size", 32},
                                     {"intermediate_size", 48},
                                     {"num_hidden_layers", 2},
                                     {"num_attention_heads", 4},
                                     {"num_key_value_heads", 2},
                                     {"max_position_embeddings", 256},
                                     {"tie_word_embeddings", tied}},
                                    "tiny");
}

inline NamedTensors tiny_weights(const models::ModelSpec& spec, std::uint64_t seed) {
  at::manual_seed(seed);
  NamedTensors tensors;
  for (const auto& [name, shape] : models::parameters_of(spec)) {
    const Tensor values = at::randn(shape, at::kDouble);
    const bool is_norm = shape.size() == 1;
    const double scale = name == spec.embedding_name ? 0.5 : name == spec.head_name ? 0.3 : 0.2;
    tensors.emplace_back(name, is_norm ? values * 0.1 + 1 : values * scale);
  }
  return tensors;
}

inline std::unique_ptr<models::CausalLm> tiny_model(const models::ModelSpec& spec, std::uint64_t seed,
                                                    at::ScalarType dtype, bool trainable) {
  models::BuildOptions options;
  options.dtype = dtype;
  options.trainable = trainable;
  return models::make_causal_lm(spec, tiny_weights(spec, seed), options);
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
    for (const auto completion_class : {data::CompletionClass::kChosen, data::CompletionClass::kRejected}) {
      std::vector<text::TokenId> whole = prompt;
      if (i % 3 == 2 && completion_class == data::CompletionClass::kRejected)
        whole.back() = (whole.back() + 1) % 97;
      const std::vector<text::TokenId> completion = ids(random(1, 14));
      whole.insert(whole.end(), completion.begin(), completion.end());
      sequences.push_back({whole, static_cast<std::int64_t>(prompt.size()), completion_class});
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
