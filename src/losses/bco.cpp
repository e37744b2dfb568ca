// BCO: rewards beta l against their mean over the effective batch, by the logistic loss, pooled over both
// classes.
#include "losses/completion_objective.h"
#include "losses/family.h"
#include "losses/log_math.h"

namespace ddro::losses {
namespace {

class BcoObjective : public RatioObjective {
 public:
  BcoObjective(double beta, double alpha) : RatioObjective(alpha, beta), beta_(beta) {}

  Locality locality() const override { return Locality::kBatch; }

  void evaluate(std::span<const ScoredCompletion> completions, const BatchCounts& counts,
                std::span<double> completion_loss, std::span<double> dloss_dlogp) const override {
    check_completions(completions, counts, completion_loss, dloss_dlogp);
    check_whole(completions, counts);
    // The same for either class.
    const double scale = class_scales(ClassReduction::kPooled, counts).chosen;
    // A constant of the step: the derivative does not pass through it.
    double mean_reward = 0;
    for (const ScoredCompletion& completion : completions)
      mean_reward += scale * completion.weight * reward(completion);
    for (size_t i = 0; i < completions.size(); ++i) {
      const double sign = completions[i].chosen ? -1 : 1;
      const double x = sign * (reward(completions[i]) - mean_reward);
      completion_loss[i] = scale * completions[i].weight * softplus(x);
      dloss_dlogp[i] = scale * completions[i].weight * sign * beta_ * sigmoid(x);
    }
  }

 private:
  double beta_;
};

}  // namespace

LossFamily bco_family() {
  return {.type = LossType::kBco,
          .name = "bco",
          .options = {"beta"},
          .make = [](const ObjectiveOptions& options, double alpha) {
            return std::make_unique<BcoObjective>(options.beta, alpha);
          }};
}

}  // namespace ddro::losses
