#include "ddro/data/mismatched.h"

#include <algorithm>

namespace ddro::data {
namespace {

EncodedSequence joined(const EncodedSequence& prompt, const EncodedSequence& completion,
                       std::int64_t max_length) {
  std::vector<text::TokenId> ids(prompt.ids.begin(), prompt.ids.begin() + prompt.completion_start);
  const std::int64_t room = std::max<std::int64_t>(max_length - prompt.completion_start, 1);
  const auto* const begin = completion.ids.begin() + completion.completion_start;
  ids.insert(ids.end(), begin, begin + std::min(room, completion.num_completion_tokens()));
  return {ids, prompt.completion_start, prompt.completion_class};
}

}  // namespace

Dataset mismatched_examples(const Dataset& dataset, std::span<const std::int64_t> examples,
                            std::int64_t max_length) {
  Dataset result;
  result.kind = dataset.kind;
  if (examples.size() < 2) return result;
  const auto example_at = [&](size_t i) -> const EncodedExample& {
    return dataset.examples.at(static_cast<size_t>(examples[i]));
  };
  for (size_t i = 0; i < examples.size(); ++i) {
    const auto& lent = example_at((i > 0 ? i : examples.size()) - 1).sequences;
    EncodedExample example = example_at(i);
    for (size_t j = 0; j < example.sequences.size(); ++j) {
      EncodedSequence& sequence = example.sequences[j];
      sequence = joined(sequence, lent.at(j), max_length);
    }
    result.examples.push_back(std::move(example));
    result.wheres.push_back(dataset.wheres.at(static_cast<size_t>(examples[i])));
  }
  return result;
}

}  // namespace ddro::data
