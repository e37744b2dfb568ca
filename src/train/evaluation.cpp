#include "ddro/train/evaluation.h"

#include <numeric>
#include <utility>

#include "ddro/base/error.h"
#include "ddro/base/progress.h"
#include "ddro/train/score.h"

namespace ddro::train {

namespace {

std::vector<std::int64_t> all_examples(const data::Dataset& dataset) {
  std::vector<std::int64_t> all(dataset.examples.size());
  std::iota(all.begin(), all.end(), 0);
  return all;
}

}  // namespace

EvaluationSet::EvaluationSet(std::string name, const data::Dataset& dataset, const data::PackOptions& options,
                             std::shared_ptr<const LogProbs> reference)
    : name_(std::move(name)),
      dataset_(&dataset),
      options_(options),
      plan_(dataset, options),
      reference_(std::move(reference)) {}

std::optional<Evaluation> EvaluationSet::evaluate(const models::CausalLm& policy,
                                                  const losses::Objective& objective,
                                                  const std::function<bool()>& stop,
                                                  const dist::Communicator& ranks) {
  DDRO_CHECK(reference_ != nullptr || !objective.reads_reference(), "this objective needs a reference");
  Evaluation result;
  result.completions = scored_completions(*dataset_, plan_);
  const at::Device device = policy.head_weight().device();
  Progress progress("eval " + name_, plan_.num_micro_batches());
  std::int64_t done = 0;
  const auto logp = score(ModelLogProbs(policy), plan_, device,
                          {.ranks = ranks, .stop = stop, .scored = [&](const auto&, const auto&) {
                             progress.update(++done, 0);
                           }});
  if (!logp) return std::nullopt;
  for (size_t i = 0; i < logp->size(); ++i) result.completions[i].logp = (*logp)[i];
  if (objective.reads_reference() && !add_reference(result.completions, device, stop, ranks))
    return std::nullopt;
  BatchCounts counts = plan_.counts();
  const std::optional<double> reference_point = kl(policy, objective, stop, ranks);
  if (!reference_point) return std::nullopt;
  counts.kl = *reference_point;
  keep_reference(result.completions, objective);
  std::vector<double> completion_loss(result.completions.size());
  std::vector<double> derivative(result.completions.size());
  objective.evaluate(result.completions, counts, completion_loss, derivative);
  result.metrics =
      losses::preference_metrics(result.completions, objective, counts,
                                 std::accumulate(completion_loss.begin(), completion_loss.end(), 0.0));
  return result;
}

bool EvaluationSet::add_reference(std::vector<losses::ScoredCompletion>& completions, at::Device device,
                                  const std::function<bool()>& stop, const dist::Communicator& ranks) const {
  const auto logp = score(*reference_, plan_, device, {.ranks = ranks, .stop = stop});
  if (!logp) return false;
  for (size_t i = 0; i < logp->size(); ++i) completions[i].ref_logp = (*logp)[i];
  return true;
}

void EvaluationSet::keep_reference(const std::vector<losses::ScoredCompletion>& completions,
                                   const losses::Objective& objective) {
  if (!objective.reads_reference() || !reference_->is_live()) return;
  std::vector<double> values;
  for (const losses::ScoredCompletion& completion : completions) values.push_back(completion.ref_logp);
  reference_ = std::make_shared<LogProbTable>(*dataset_, std::move(values));
}

std::optional<double> EvaluationSet::kl(const models::CausalLm& policy, const losses::Objective& objective,
                                        const std::function<bool()>& stop, const dist::Communicator& ranks) {
  if (!objective.needs_mismatched()) return 0;
  if (!mismatched_) mismatched_.emplace(*dataset_, all_examples(*dataset_), policy.spec(), options_);
  return mismatched_->kl(policy, *reference_, stop, ranks);
}

}  // namespace ddro::train
