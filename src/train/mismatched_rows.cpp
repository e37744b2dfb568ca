#include "ddro/train/mismatched_rows.h"

#include <numeric>

#include "ddro/base/error.h"
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

// What `score` gives for each micro-batch, by step_row.
template <typename Score>
std::optional<std::vector<double>> score_plan(const data::StepPlan& plan, at::Device device,
                                              const std::function<bool()>& stop, const Score& score) {
  std::vector<double> by_row(static_cast<size_t>(plan.counts.rows));
  for (const data::PackedBatch& batch : plan.micro_batches) {
    if (stop()) return std::nullopt;
    const std::vector<double> logp = score(batch, ModelBatch(batch, device));
    for (size_t i = 0; i < logp.size(); ++i) by_row[static_cast<size_t>(batch.rows[i].step_row)] = logp[i];
  }
  return by_row;
}

}  // namespace

MismatchedRows::MismatchedRows(const data::Dataset& dataset, std::span<const std::int64_t> examples,
                               const models::ModelConfig& model, const data::PackOptions& options)
    : plan_(mismatched_plan(dataset, examples, model.max_position_embeddings, options)) {}

std::optional<double> MismatchedRows::kl(const models::CausalLm& policy, const ReferenceLogProbs& reference,
                                         const std::function<bool()>& stop) {
  const at::Device device = policy.head_weight().device();
  if (reference_logp_.empty()) {
    DDRO_CHECK(reference.is_live(), "mismatched rows need a reference that is live");
    auto scored = score_plan(plan_, device, stop, [&](const auto& batch, const ModelBatch& on_device) {
      return reference.of(batch, on_device, /*keep_pairs=*/false);
    });
    if (!scored) return std::nullopt;
    reference_logp_ = std::move(*scored);
  }
  const auto logp = score_plan(plan_, device, stop, [&](const auto& batch, const ModelBatch& on_device) {
    return score_batch(policy, batch, on_device, /*keep_pairs=*/false);
  });
  if (!logp) return std::nullopt;
  std::vector<losses::LossRow> rows(logp->size());
  for (const data::PackedBatch& batch : plan_.micro_batches) fill_rows(batch, rows);
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].logp = (*logp)[i];
    rows[i].ref_logp = reference_logp_[i];
  }
  return losses::kl_estimate(rows);
}

}  // namespace ddro::train
