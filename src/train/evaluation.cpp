#include "ddro/train/evaluation.h"

#include <numeric>
#include <utility>

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

EvaluationSet::EvaluationSet(std::string name, const data::Dataset& dataset, const data::PackOptions& options)
    : name_(std::move(name)),
      dataset_(&dataset),
      options_(options),
      plan_(data::plan_step(dataset, all_examples(dataset), options)) {}

std::optional<losses::Metrics> EvaluationSet::evaluate(const models::CausalLm& policy,
                                                       const models::CausalLm* reference,
                                                       const losses::Objective& objective,
                                                       const std::function<bool()>& stop) {
  std::vector<losses::LossRow> rows = loss_rows(plan_);
  const bool live_reference = reference != nullptr && objective.reads_reference() && reference_logp_.empty();
  std::vector<double> reference_logp(live_reference ? rows.size() : 0);
  const bool keep_pairs = objective.locality() == losses::Locality::kPair;
  const at::Device device = policy.head_weight().device();
  Progress progress("eval " + name_, static_cast<std::int64_t>(plan_.micro_batches.size()));
  std::int64_t done = 0;
  for (const data::PackedBatch& batch : plan_.micro_batches) {
    if (stop()) return std::nullopt;
    const ModelBatch on_device(batch, device);
    const auto scatter = [&](const models::CausalLm& model, auto&& put) {
      const std::vector<double> logp = score_batch(model, batch, on_device, keep_pairs);
      for (size_t i = 0; i < logp.size(); ++i) put(static_cast<size_t>(batch.rows[i].step_row), logp[i]);
    };
    scatter(policy, [&](size_t row, double logp) { rows[row].logp = logp; });
    if (live_reference) scatter(*reference, [&](size_t row, double logp) { reference_logp[row] = logp; });
    progress.update(++done, 0);
  }
  if (live_reference) reference_logp_ = std::move(reference_logp);
  for (size_t i = 0; i < reference_logp_.size(); ++i) rows[i].ref_logp = reference_logp_[i];

  losses::BatchCounts counts = batch_counts(plan_.counts);
  const std::optional<double> reference_point = kl(policy, reference, objective, stop);
  if (!reference_point) return std::nullopt;
  counts.kl = *reference_point;
  std::vector<double> row_loss(rows.size());
  std::vector<double> derivative(rows.size());
  objective.evaluate(rows, counts, row_loss, derivative);
  return losses::preference_metrics(rows, objective, counts,
                                    std::accumulate(row_loss.begin(), row_loss.end(), 0.0));
}

std::optional<double> EvaluationSet::kl(const models::CausalLm& policy, const models::CausalLm* reference,
                                        const losses::Objective& objective,
                                        const std::function<bool()>& stop) {
  if (!objective.needs_mismatched()) return 0;
  if (!mismatched_) mismatched_.emplace(*dataset_, all_examples(*dataset_), policy.config(), options_);
  return mismatched_->kl(policy, *reference, stop);
}

}  // namespace ddro::train
