#include "ddro/train/mismatched_completions.h"

#include <numeric>

#include "ddro/base/error.h"
#include "ddro/data/mismatched.h"
#include "ddro/losses/objective.h"
#include "ddro/train/score.h"

namespace ddro::train {
namespace {

data::StepPlan mismatched_plan(const data::Dataset& dataset, std::span<const std::int64_t> examples,
                               std::int64_t max_length, const data::PackOptions& options) {
  const data::Dataset mismatched = data::mismatched_examples(dataset, examples, max_length);
  std::vector<std::int64_t> all(mismatched.examples.size());
  std::iota(all.begin(), all.end(), 0);
  return data::plan_step(mismatched, all, options);
}

}  // namespace

MismatchedCompletions::MismatchedCompletions(const data::Dataset& dataset,
                                             std::span<const std::int64_t> examples,
                                             const models::ModelSpec& model, const data::PackOptions& options)
    : plan_(mismatched_plan(dataset, examples, model.max_position_embeddings, options)) {}

std::optional<double> MismatchedCompletions::kl(const models::CausalLm& policy, const LogProbs& reference,
                                                const std::function<bool()>& stop,
                                                const dist::Communicator& ranks) {
  const at::Device device = policy.head_weight().device();
  if (!reference_logp_) {
    DDRO_CHECK(reference.is_live(), "mismatched completions need a reference that is live");
    auto scored = score(reference, plan_, device, {.ranks = ranks, .stop = stop});
    if (!scored) return std::nullopt;
    reference_logp_ = std::move(*scored);
  }
  const auto logp = score(ModelLogProbs(policy), plan_, device, {.ranks = ranks, .stop = stop});
  if (!logp) return std::nullopt;
  std::vector<losses::ScoredCompletion> completions(logp->size());
  for (const data::PackedBatch& batch : plan_.micro_batches) fill_completions(batch, completions);
  for (size_t i = 0; i < completions.size(); ++i) {
    completions[i].logp = (*logp)[i];
    completions[i].ref_logp = (*reference_logp_)[i];
  }
  return losses::kl_estimate(completions);
}

}  // namespace ddro::train
