// What the losses of pairs share: a term a pair, divided by the pairs of the effective batch; and the two
// forms that nearly all of them have.
#pragma once

#include <functional>

#include "losses/completion_objective.h"
#include "losses/family.h"

namespace ddro::losses {

// A pair's value and its derivatives with respect to the two log-probabilities.
struct PairTerm {
  double value = 0;
  double chosen_slope = 0;
  double rejected_slope = 0;
};

using PairFunction = std::function<PairTerm(const ScoredCompletion& chosen, const ScoredCompletion& rejected,
                                            const ObjectiveOptions& options)>;
// Of one number; the slope with respect to it.
using NumberFunction = Term (*)(double x, const ObjectiveOptions& options);
// What completions are compared by; the slope with respect to the completion's log-probability.
using Measure = Term (*)(const ScoredCompletion& completion, const ObjectiveOptions& options);

// loss(beta (u_w - u_l)), u the measure of the preferred and the unpreferred completion.
PairFunction margin(NumberFunction loss, Measure measure);
// chosen(beta l_w) + rejected(beta l_l), l the log-ratios.
PairFunction separate(NumberFunction chosen, NumberFunction rejected);

Term log_ratio(const ScoredCompletion& completion, const ObjectiveOptions&);
Term logp(const ScoredCompletion& completion, const ObjectiveOptions&);
Term mean_logp(const ScoredCompletion& completion, const ObjectiveOptions&);  // of a token

// (1-e) softplus(-x) + e softplus(x), e = label_smoothing.
Term smoothed_logistic(double x, const ObjectiveOptions& options);

class PairObjective : public Objective {
 public:
  // `reward_measure`: what rewards/* multiply by beta.
  PairObjective(LossType type, PairFunction term, Measure reward_measure, const ObjectiveOptions& options,
                double alpha);

  Locality locality() const override { return Locality::kPair; }
  bool reads_reference() const override { return family_.reads_reference; }
  double reward(const ScoredCompletion& completion) const override {
    return options_.beta * reward_(completion, options_).value;
  }
  double alpha() const override { return alpha_; }
  void evaluate(std::span<const ScoredCompletion> completions, const BatchCounts& counts,
                std::span<double> completion_loss, std::span<double> dloss_dlogp) const override;

 private:
  size_t partner_of(std::span<const ScoredCompletion> completions, size_t i) const;

  const LossFamily& family_;
  PairFunction term_;
  Measure reward_;
  ObjectiveOptions options_;
  double alpha_;
};

}  // namespace ddro::losses
