#include "ddro/train/mismatched_rows.h"

#include <numeric>

#include "ddro/data/mismatched.h"
#include "ddro/losses/objective.h"
#include "ddro/train/model_batch.h"
#include "ddro/train/step.h"

namespace ddro::train {
namespace {

data::StepPlan mismatched_plan(const data::Dataset& dataset, std::span<const std::int64_t> examples,
                               std::int64_t max_length, const data::PackOptions& options) {
  const data::Dataset mismatched = data::mismatched_examples(dataset, examples, max_length);
  std::vector<std::int64_t> all(mismatched.examples.size());
  std::iota(all.begin(), all.end(), 0);
  return data::plan_step(mismatched, all, options);
}

// Log-probabilities by step_row.
std::optional<std::vector<double>> score_plan(const models::CausalLm& model, const data::StepPlan& plan,
                                              const std::function<bool()>& stop) {
  std::vector<double> by_row(static_cast<size_t>(plan.counts.rows));
  for (const data::PackedBatch& batch : plan.micro_batches) {
    if (stop()) return std::nullopt;
    const ModelBatch on_device(batch, model.head_weight().device());
    const std::vector<double> logp = score_batch(model, batch, on_device, /*keep_pairs=*/false);
    for (size_t i = 0; i < logp.size(); ++i) by_row[static_cast<size_t>(batch.rows[i].step_row)] = logp[i];
  }
  return by_row;
}

}  // namespace

MismatchedRows::MismatchedRows(const data::Dataset& dataset, std::span<const std::int64_t> examples,
                               const models::ModelConfig& model, const data::PackOptions& options)
    : plan_(mismatched_plan(dataset, examples, model.max_position_embeddings, options)) {}

std::optional<double> MismatchedRows::kl(const models::CausalLm& policy, const models::CausalLm& reference,
                                         const std::function<bool()>& stop) {
  if (reference_logp_.empty()) {
    auto scored = score_plan(reference, plan_, stop);
    if (!scored) return std::nullopt;
    reference_logp_ = std::move(*scored);
  }
  const auto logp = score_plan(policy, plan_, stop);
  if (!logp) return std::nullopt;
  std::vector<losses::LossRow> rows = loss_rows(plan_);
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].logp = (*logp)[i];
    rows[i].ref_logp = reference_logp_[i];
  }
  return losses::kl_estimate(rows);
}

}  // namespace ddro::train
