#include "ddro/train/score.h"

namespace ddro::train {

std::optional<std::vector<double>> score(const LogProbs& log_probs, const data::MicroBatches& batches,
                                         at::Device device, const ScoreOptions& options) {
  std::vector<double> by_row(static_cast<size_t>(batches.num_completions()));
  for (std::int64_t index = 0; index < batches.num_micro_batches(); ++index) {
    if (!options.wanted(index)) continue;
    if (options.stop()) return std::nullopt;
    const data::PackedBatch batch = batches.micro_batch(index);
    const std::vector<double> values = log_probs.of(batch, ModelBatch(batch, device), options.keep_pairs);
    for (size_t i = 0; i < values.size(); ++i)
      by_row[static_cast<size_t>(batch.rows[i].step_row)] = values[i];
    options.scored(batch, values);
  }
  return by_row;
}

void fill_rows(const data::PackedBatch& batch, std::vector<losses::LossRow>& rows) {
  for (size_t i = 0; i < batch.rows.size(); ++i) {
    const data::BatchRow& source = batch.rows[i];
    losses::LossRow& row = rows.at(static_cast<size_t>(source.step_row));
    row.chosen = source.row_class == data::RowClass::kChosen;
    row.weight = source.weight;
    row.partner = source.partner;
    row.num_tokens = batch.row_offsets[i + 1] - batch.row_offsets[i];
  }
}

}  // namespace ddro::train
