// The likelihood of a mixture: -(a mean log pi of preferred completions + (1-a) mean log pi of unpreferred
// ones). Its minimiser is a p+ + (1-a) p-, what DDRO and RDRO take the reference for.
#include "losses/completion_objective.h"
#include "losses/family.h"

namespace ddro::losses {
namespace {

class MixtureNllObjective : public Objective {
 public:
  explicit MixtureNllObjective(double alpha) : alpha_(alpha) {}

  Locality locality() const override { return Locality::kCompletion; }
  bool reads_reference() const override { return false; }
  double reward(const ScoredCompletion&) const override { return std::numeric_limits<double>::quiet_NaN(); }
  double alpha() const override { return alpha_; }

  void evaluate(std::span<const ScoredCompletion> completions, const BatchCounts& counts,
                std::span<double> completion_loss, std::span<double> dloss_dlogp) const override {
    check_completions(completions, counts, completion_loss, dloss_dlogp);
    const ClassScales scales = class_scales(ClassReduction::kClassMean, counts);
    for (size_t i = 0; i < completions.size(); ++i) {
      const ScoredCompletion& completion = completions[i];
      const double share = completion.chosen ? alpha_ * scales.chosen : (1 - alpha_) * scales.rejected;
      dloss_dlogp[i] = -completion.weight * share;
      completion_loss[i] = dloss_dlogp[i] * completion.logp;
    }
  }

 private:
  double alpha_;
};

std::unique_ptr<Objective> make(const ObjectiveOptions&, double alpha) {
  return std::make_unique<MixtureNllObjective>(alpha);
}

}  // namespace

LossFamily mixture_nll_family() {
  return {.type = LossType::kMixtureNll,
          .name = "mixture_nll",
          .reads_reference = false,
          .options = {"alpha"},
          .make = make};
}

}  // namespace ddro::losses
