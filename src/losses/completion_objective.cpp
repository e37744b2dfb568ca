#include "losses/completion_objective.h"

#include <cmath>

#include "ddro/base/error.h"

namespace ddro::losses {

ClassScales class_scales(ClassReduction reduction, const BatchCounts& counts) {
  // A class without completions is never multiplied by its scale.
  if (reduction == ClassReduction::kClassMean) return {1 / counts.chosen, 1 / counts.rejected};
  const double all = counts.chosen + counts.rejected;
  return {1 / all, 1 / all};
}

void check_completions(std::span<const ScoredCompletion> completions, const BatchCounts& counts,
                       std::span<const double> completion_loss, std::span<const double> dloss_dlogp) {
  DDRO_CHECK(completion_loss.size() == completions.size() && dloss_dlogp.size() == completions.size(),
             "one output a completion");
  for (const ScoredCompletion& completion : completions) {
    DDRO_CHECK((completion.chosen ? counts.chosen : counts.rejected) > 0,
               "a completion of a class that the counts lack");
  }
}

void check_whole(std::span<const ScoredCompletion> completions, const BatchCounts& counts) {
  double weight = 0;
  for (const ScoredCompletion& completion : completions) weight += completion.weight;
  const double expected = counts.chosen + counts.rejected;
  DDRO_CHECK(std::abs(weight - expected) <= 1e-9 * expected, "evaluated on the whole effective batch");
}

void CompletionObjective::evaluate(std::span<const ScoredCompletion> completions, const BatchCounts& counts,
                                   std::span<double> completion_loss, std::span<double> dloss_dlogp) const {
  check_completions(completions, counts, completion_loss, dloss_dlogp);
  const ClassScales scales = class_scales(reduction_, counts);
  for (size_t i = 0; i < completions.size(); ++i) {
    const ScoredCompletion& completion = completions[i];
    const Term t = term(completion, counts, i);
    const double scale = completion.weight * (completion.chosen ? scales.chosen : scales.rejected);
    completion_loss[i] = scale * t.value;
    dloss_dlogp[i] = scale * t.slope;
  }
}

}  // namespace ddro::losses
