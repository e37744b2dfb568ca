// RDRO: the logistic loss of the relative ratio p+/(a p+ + (1-a) p-) = r, bounded by construction.
#include "losses/completion_objective.h"
#include "losses/family.h"
#include "losses/log_math.h"

namespace ddro::losses {
namespace {

class RdroObjective : public CompletionObjective {
 public:
  RdroObjective(double alpha, ClassReduction reduction) : CompletionObjective(alpha, 1, reduction) {}

 protected:
  Term term(const ScoredCompletion& completion, const BatchCounts&, size_t) const override {
    const double a = alpha();
    const double l = completion.log_ratio();
    if (!completion.chosen) return {(1 - a) * softplus(l), (1 - a) * sigmoid(l)};
    // (1+a) softplus(l) - l, with softplus(l) - l = softplus(-l).
    return {a * softplus(l) + softplus(-l), a * sigmoid(l) - sigmoid(-l)};
  }
};

std::unique_ptr<Objective> make(const ObjectiveOptions& options, double alpha) {
  return std::make_unique<RdroObjective>(alpha, options.class_reduction);
}

}  // namespace

LossFamily rdro_family() {
  return {.type = LossType::kRdro, .name = "rdro", .options = {"alpha", "class_reduction"}, .make = make};
}

}  // namespace ddro::losses
