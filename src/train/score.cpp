#include "ddro/train/score.h"

namespace ddro::train {

namespace {

using Values = std::vector<double>;

// The next micro-batches to score from index `next` on, one for each rank; empty at the end.
Values next_round(const data::MicroBatches& batches, const ScoreOptions& options,
                  const dist::Communicator& ranks, std::int64_t& next) {
  Values round;
  while (ranks.is_first() && next < batches.num_micro_batches() &&
         round.size() < static_cast<size_t>(ranks.size())) {
    if (options.wanted(next)) round.push_back(static_cast<double>(next));
    ++next;
  }
  return ranks.broadcast(round);
}

losses::ScoredCompletion scored_completion(const data::PackedCompletion& source) {
  losses::ScoredCompletion completion;
  completion.chosen = source.completion_class == data::CompletionClass::kChosen;
  completion.weight = source.weight;
  completion.partner = source.partner;
  return completion;
}

}  // namespace

// In rounds: a micro-batch for each rank, whose values are then told to all.
std::optional<std::vector<double>> score(const CompletionValues& completion_values,
                                         const data::MicroBatches& batches, at::Device device,
                                         const ScoreOptions& options) {
  const dist::Communicator& ranks = completion_values.is_live() ? options.ranks : dist::alone();
  const bool may_stop = ranks.size() == options.ranks.size();  // or else one rank might leave the others
  const auto rank = static_cast<size_t>(ranks.rank());
  std::vector<double> by_completion(static_cast<size_t>(batches.num_completions()));
  std::int64_t next = 0;
  while (true) {
    const Values round = next_round(batches, options, ranks, next);
    if (round.empty()) return by_completion;
    if (ranks.any(may_stop && options.stop())) return std::nullopt;
    Values values;
    if (rank < round.size()) {
      const data::PackedBatch batch = batches.micro_batch(static_cast<std::int64_t>(round[rank]));
      values = completion_values.of(batch, ModelBatch(batch, device), options.keep_pairs);
    } else {
      completion_values.take_part();
    }
    const std::vector<Values> all = ranks.all_gather(values);
    for (size_t i = 0; i < round.size(); ++i) {
      const auto completions = batches.completions(static_cast<std::int64_t>(round[i]));
      for (size_t j = 0; j < completions.size(); ++j)
        by_completion[static_cast<size_t>(completions[j].step_index)] = all[i][j];
      options.scored(completions, all[i]);
    }
  }
}

void fill_completions(const data::PackedBatch& batch, std::vector<losses::ScoredCompletion>& completions) {
  for (size_t i = 0; i < batch.completions.size(); ++i) {
    losses::ScoredCompletion& completion =
        completions.at(static_cast<size_t>(batch.completions[i].step_index));
    completion = scored_completion(batch.completions[i]);
    completion.num_tokens = batch.completion_offsets[i + 1] - batch.completion_offsets[i];
  }
}

std::vector<losses::ScoredCompletion> scored_completions(const data::Dataset& dataset,
                                                         const data::MicroBatches& batches) {
  std::vector<losses::ScoredCompletion> completions(static_cast<size_t>(batches.num_completions()));
  for (std::int64_t index = 0; index < batches.num_micro_batches(); ++index) {
    for (const data::PackedCompletion& source : batches.completions(index)) {
      const auto& sequences = dataset.examples[static_cast<size_t>(source.example)].sequences;
      losses::ScoredCompletion& completion = completions.at(static_cast<size_t>(source.step_index));
      completion = scored_completion(source);
      completion.num_tokens = sequences[static_cast<size_t>(source.sequence)].num_completion_tokens();
    }
  }
  return completions;
}

}  // namespace ddro::train
