#include "ddro/train/evaluation.h"

#include <numeric>
#include <utility>

#include "ddro/base/error.h"
#include "ddro/train/model_batch.h"
#include "ddro/train/progress.h"
#include "ddro/train/step.h"

namespace ddro::train {

namespace {

std::vector<std::int64_t> all_examples(const data::Dataset& dataset) {
  std::vector<std::int64_t> all(dataset.examples.size());
  std::iota(all.begin(), all.end(), 0);
  return all;
}

}  // namespace

EvaluationSet::EvaluationSet(std::string name, const data::Dataset& dataset, const data::PackOptions& options,
                             std::shared_ptr<const ReferenceLogProbs> reference)
    : name_(std::move(name)),
      dataset_(&dataset),
      options_(options),
      plan_(dataset, options),
      reference_(std::move(reference)) {}

std::optional<losses::Metrics> EvaluationSet::evaluate(const models::CausalLm& policy,
                                                       const losses::Objective& objective,
                                                       const std::function<bool()>& stop) {
  DDRO_CHECK(reference_ != nullptr || !objective.reads_reference(), "this objective needs a reference");
  std::vector<losses::LossRow> rows(static_cast<size_t>(plan_.counts().rows));
  std::vector<double> ref_logp(rows.size());
  const ReferenceLogProbs* reference = objective.reads_reference() ? reference_.get() : nullptr;
  Progress progress("eval " + name_, plan_.num_micro_batches());
  for (std::int64_t index = 0; index < plan_.num_micro_batches(); ++index) {
    if (stop()) return std::nullopt;
    const data::PackedBatch batch = plan_.micro_batch(index);
    const ModelBatch on_device(batch, policy.head_weight().device());
    fill_rows(batch, rows);
    const std::vector<double> logp = score_batch(policy, batch, on_device, /*keep_pairs=*/false);
    for (size_t i = 0; i < logp.size(); ++i) rows[static_cast<size_t>(batch.rows[i].step_row)].logp = logp[i];
    if (reference != nullptr) {
      const std::vector<double> values = reference->of(batch, on_device, /*keep_pairs=*/false);
      for (size_t i = 0; i < values.size(); ++i)
        ref_logp[static_cast<size_t>(batch.rows[i].step_row)] = values[i];
    }
    progress.update(index + 1, 0);
  }
  for (size_t i = 0; i < rows.size(); ++i) rows[i].ref_logp = ref_logp[i];
  losses::BatchCounts counts = batch_counts(plan_.counts());
  const std::optional<double> reference_point = kl(policy, objective, stop);
  if (!reference_point) return std::nullopt;
  counts.kl = *reference_point;
  if (reference != nullptr && reference->is_live())
    reference_ = std::make_shared<ReferenceTable>(*dataset_, std::move(ref_logp));
  std::vector<double> row_loss(rows.size());
  std::vector<double> derivative(rows.size());
  objective.evaluate(rows, counts, row_loss, derivative);
  return losses::preference_metrics(rows, objective, counts,
                                    std::accumulate(row_loss.begin(), row_loss.end(), 0.0));
}

std::optional<double> EvaluationSet::kl(const models::CausalLm& policy, const losses::Objective& objective,
                                        const std::function<bool()>& stop) {
  if (!objective.needs_mismatched()) return 0;
  if (!mismatched_) mismatched_.emplace(*dataset_, all_examples(*dataset_), policy.config(), options_);
  return mismatched_->kl(policy, *reference_, stop);
}

}  // namespace ddro::train
