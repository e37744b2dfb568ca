#include "ddro/losses/objective.h"

#include <utility>

#include "ddro/base/error.h"
#include "losses/family.h"
#include "losses/sum_objective.h"

namespace ddro::losses {
namespace {

// The mixture weight: as configured, else the data's own share.
double resolve_alpha(const ObjectiveOptions& options, double data_alpha) {
  if (!uses_option(options, "alpha")) return data_alpha;
  const double alpha = options.alpha.value_or(data_alpha);
  if (alpha > 0 && alpha < 1) return alpha;
  throw input_error(
      "[objective.alpha] auto needs training completions of both classes; got a preferred share of " +
      printable(alpha) + "; loss_type " + loss_name(options.loss_type) +
      " compares preferred with unpreferred samples");
}

}  // namespace

BatchCounts batch_counts(std::span<const ScoredCompletion> completions) {
  BatchCounts counts;
  for (const ScoredCompletion& completion : completions) {
    (completion.chosen ? counts.chosen : counts.rejected) += completion.weight;
    if (!completion.chosen) continue;
    if (completion.partner >= 0) counts.pairs += completion.weight;
    counts.chosen_tokens += completion.weight * static_cast<double>(completion.num_tokens);
  }
  counts.rejected_seen = counts.rejected;
  return counts;
}

double kl_estimate(std::span<const ScoredCompletion> mismatched) {
  double sum = 0;
  double weight = 0;
  for (const ScoredCompletion& completion : mismatched) {
    sum += completion.weight * completion.log_ratio();
    weight += completion.weight;
  }
  // A sum that is not a number must not pass for a negative one.
  return weight > 0 && !(sum <= 0) ? sum / weight : 0;
}

std::unique_ptr<Objective> make_objective(const ObjectiveOptions& options, double data_alpha) {
  options.validate();
  const double alpha = resolve_alpha(options, data_alpha);
  if (uses_option(options, "max_weight")) check_max_weight(options, alpha);
  std::vector<WeightedObjective> parts;
  for (size_t i = 0; i < options.loss_type.all.size(); ++i) {
    const double weight = options.loss_weights.empty() ? 1 : options.loss_weights[i];
    parts.push_back({weight, family_of(options.loss_type.all[i]).make(options, alpha)});
  }
  return make_sum(std::move(parts));
}

}  // namespace ddro::losses
