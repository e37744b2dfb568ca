// What the losses of single completions share: a term a completion, scaled by its class's share of the
// effective batch.
#pragma once

#include "ddro/losses/objective.h"

namespace ddro::losses {

// A value and its derivative.
struct Term {
  double value = 0;
  double slope = 0;
};

// What a completion of each class is multiplied by, its own weight aside: 1/N+ and 1/N-, or 1/(N+ + N-) when
// pooled.
struct ClassScales {
  double chosen = 0;
  double rejected = 0;
};

ClassScales class_scales(ClassReduction reduction, const BatchCounts& counts);

// For our own bugs: lengths that differ, a completion whose class the counts say is absent.
void check_completions(std::span<const ScoredCompletion> completions, const BatchCounts& counts,
                       std::span<const double> completion_loss, std::span<const double> dloss_dlogp);
// For our own bugs: completions that are not the whole effective batch.
void check_whole(std::span<const ScoredCompletion> completions, const BatchCounts& counts);

// An objective on log-ratios.
class RatioObjective : public Objective {
 public:
  RatioObjective(double alpha, double reward_scale) : alpha_(alpha), reward_scale_(reward_scale) {}

  Locality locality() const override { return Locality::kCompletion; }
  bool reads_reference() const override { return true; }
  double reward(const ScoredCompletion& completion) const override {
    return reward_scale_ * completion.log_ratio();
  }
  double alpha() const override { return alpha_; }

 private:
  double alpha_;
  double reward_scale_;
};

// The sum of a term a completion.
class CompletionObjective : public RatioObjective {
 public:
  CompletionObjective(double alpha, double reward_scale, ClassReduction reduction)
      : RatioObjective(alpha, reward_scale), reduction_(reduction) {}

  void evaluate(std::span<const ScoredCompletion> completions, const BatchCounts& counts,
                std::span<double> completion_loss, std::span<double> dloss_dlogp) const override;

 protected:
  // The term of completion `index` and its derivative with respect to the log-ratio.
  virtual Term term(const ScoredCompletion& completion, const BatchCounts& counts, size_t index) const = 0;

 private:
  ClassReduction reduction_;
};

}  // namespace ddro::losses
