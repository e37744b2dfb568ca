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

losses::LossRow loss_row(const data::BatchRow& source) {
  losses::LossRow row;
  row.chosen = source.row_class == data::RowClass::kChosen;
  row.weight = source.weight;
  row.partner = source.partner;
  return row;
}

}  // namespace

// In rounds: a micro-batch for each rank, whose values are then told to all.
std::optional<std::vector<double>> score(const LogProbs& log_probs, const data::MicroBatches& batches,
                                         at::Device device, const ScoreOptions& options) {
  const dist::Communicator& ranks = log_probs.is_live() ? options.ranks : dist::alone();
  const bool may_stop = ranks.size() == options.ranks.size();  // or else one rank might leave the others
  const auto rank = static_cast<size_t>(ranks.rank());
  std::vector<double> by_row(static_cast<size_t>(batches.num_completions()));
  std::int64_t next = 0;
  while (true) {
    const Values round = next_round(batches, options, ranks, next);
    if (round.empty()) return by_row;
    const bool stop = may_stop && options.stop();
    Values values;
    if (!stop && rank < round.size()) {
      const data::PackedBatch batch = batches.micro_batch(static_cast<std::int64_t>(round[rank]));
      values = log_probs.of(batch, ModelBatch(batch, device), options.keep_pairs);
    }
    if (ranks.any(stop)) return std::nullopt;
    const std::vector<Values> all = ranks.all_gather(values);
    for (size_t i = 0; i < round.size(); ++i) {
      const auto rows = batches.rows(static_cast<std::int64_t>(round[i]));
      for (size_t j = 0; j < rows.size(); ++j) by_row[static_cast<size_t>(rows[j].step_row)] = all[i][j];
      options.scored(rows, all[i]);
    }
  }
}

void fill_rows(const data::PackedBatch& batch, std::vector<losses::LossRow>& rows) {
  for (size_t i = 0; i < batch.rows.size(); ++i) {
    losses::LossRow& row = rows.at(static_cast<size_t>(batch.rows[i].step_row));
    row = loss_row(batch.rows[i]);
    row.num_tokens = batch.row_offsets[i + 1] - batch.row_offsets[i];
  }
}

std::vector<losses::LossRow> loss_rows(const data::Dataset& dataset, const data::MicroBatches& batches) {
  std::vector<losses::LossRow> rows(static_cast<size_t>(batches.num_completions()));
  for (std::int64_t index = 0; index < batches.num_micro_batches(); ++index) {
    for (const data::BatchRow& source : batches.rows(index)) {
      const auto& sequences = dataset.examples[static_cast<size_t>(source.example)].sequences;
      losses::LossRow& row = rows.at(static_cast<size_t>(source.step_row));
      row = loss_row(source);
      row.num_tokens = sequences[static_cast<size_t>(source.sequence)].num_completion_tokens();
    }
  }
  return rows;
}

}  // namespace ddro::train
