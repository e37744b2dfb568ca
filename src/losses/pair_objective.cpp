#include "losses/pair_objective.h"

#include <limits>

#include "ddro/base/error.h"
#include "losses/log_math.h"

namespace ddro::losses {

PairFunction margin(NumberFunction loss, Measure measure) {
  return [=](const ScoredCompletion& chosen, const ScoredCompletion& rejected,
             const ObjectiveOptions& options) -> PairTerm {
    const Term w = measure(chosen, options);
    const Term l = measure(rejected, options);
    const Term term = loss(options.beta * (w.value - l.value), options);
    const double slope = options.beta * term.slope;
    return {term.value, slope * w.slope, -slope * l.slope};
  };
}

PairFunction separate(NumberFunction chosen, NumberFunction rejected) {
  return
      [=](const ScoredCompletion& w, const ScoredCompletion& l, const ObjectiveOptions& options) -> PairTerm {
        const Term up = chosen(options.beta * w.log_ratio(), options);
        const Term down = rejected(options.beta * l.log_ratio(), options);
        return {up.value + down.value, options.beta * up.slope, options.beta * down.slope};
      };
}

Term log_ratio(const ScoredCompletion& completion, const ObjectiveOptions&) {
  return {completion.log_ratio(), 1};
}
Term logp(const ScoredCompletion& completion, const ObjectiveOptions&) { return {completion.logp, 1}; }
Term mean_logp(const ScoredCompletion& completion, const ObjectiveOptions&) {
  const auto tokens = static_cast<double>(completion.num_tokens);
  return {completion.logp / tokens, 1 / tokens};
}

Term smoothed_logistic(double x, const ObjectiveOptions& options) {
  const double e = options.label_smoothing;
  return {(1 - e) * softplus(-x) + e * softplus(x), e * sigmoid(x) - (1 - e) * sigmoid(-x)};
}

PairObjective::PairObjective(LossType type, PairFunction term, Measure reward_measure,
                             const ObjectiveOptions& options, double alpha)
    : family_(family_of(type)),
      term_(std::move(term)),
      reward_(reward_measure),
      options_(options),
      alpha_(family_.reads_reference ? alpha : std::numeric_limits<double>::quiet_NaN()) {}

void PairObjective::evaluate(std::span<const ScoredCompletion> completions, const BatchCounts& counts,
                             std::span<double> completion_loss, std::span<double> dloss_dlogp) const {
  DDRO_CHECK(completion_loss.size() == completions.size() && dloss_dlogp.size() == completions.size(),
             "one output a completion");
  for (size_t i = 0; i < completions.size(); ++i) {
    const size_t other = partner_of(completions, i);
    if (!completions[i].chosen) continue;
    DDRO_CHECK(counts.pairs > 0, "a pair that the counts lack");
    const double scale = completions[i].weight / counts.pairs;
    const PairTerm term = term_(completions[i], completions[other], options_);
    completion_loss[i] = completion_loss[other] = scale * term.value / 2;
    dloss_dlogp[i] = scale * term.chosen_slope;
    dloss_dlogp[other] = scale * term.rejected_slope;
  }
}

size_t PairObjective::partner_of(std::span<const ScoredCompletion> completions, size_t i) const {
  const std::int64_t partner = completions[i].partner;
  if (partner < 0) {
    throw input_error(std::string("[objective.loss_type] ") + family_.name +
                      " compares the two completions of a pair; completion " + std::to_string(i) +
                      " has no partner; use paired data, ddro or rdro");
  }
  const auto other = static_cast<size_t>(partner);
  DDRO_CHECK(other < completions.size() && completions[other].partner == static_cast<std::int64_t>(i) &&
                 completions[other].chosen != completions[i].chosen &&
                 completions[other].weight == completions[i].weight,
             "partners name each other, differ in class and share a weight");
  return other;
}

}  // namespace ddro::losses
