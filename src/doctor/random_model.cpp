#include "doctor/random_model.h"

#include <ATen/ATen.h>

#include "ddro/base/random.h"

namespace ddro::doctor {
namespace {

constexpr std::uint64_t kSeed = 1;

class RandomIds {
 public:
  explicit RandomIds(std::int64_t vocab_size) : vocab_size_(static_cast<std::uint64_t>(vocab_size)) {}

  void append(std::vector<text::TokenId>& ids, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i)
      ids.push_back(static_cast<text::TokenId>(random_bits(kSeed, 0, next_++) % vocab_size_));
  }

 private:
  std::uint64_t vocab_size_;
  std::uint64_t next_ = 0;
};

}  // namespace

NamedTensors random_weights(const models::ModelSpec& spec, const at::TensorOptions& options,
                            double deviation) {
  at::manual_seed(kSeed);
  NamedTensors tensors;
  for (const auto& [name, shape] : models::parameters_of(spec)) {
    tensors.emplace_back(
        name, shape.size() == 1 ? at::ones(shape, options) : at::empty(shape, options).normal_(0, deviation));
  }
  return tensors;
}

data::Dataset random_pairs(std::int64_t num_pairs, const PairSize& size, std::int64_t vocab_size) {
  RandomIds ids(vocab_size);
  data::Dataset dataset;
  for (std::int64_t row = 0; row < num_pairs; ++row) {
    std::vector<text::TokenId> prompt;
    ids.append(prompt, size.prompt_tokens);
    data::EncodedExample example;
    example.row = row;
    for (const auto completion_class : {data::CompletionClass::kChosen, data::CompletionClass::kRejected}) {
      std::vector<text::TokenId> whole = prompt;
      ids.append(whole, size.completion_tokens);
      example.sequences.push_back({whole, size.prompt_tokens, completion_class});
    }
    dataset.examples.push_back(std::move(example));
    dataset.wheres.push_back("random:" + std::to_string(row + 1));
  }
  return dataset;
}

}  // namespace ddro::doctor
