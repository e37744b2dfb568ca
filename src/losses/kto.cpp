// KTO and its relative without a reference point: a bounded value of each completion, pooled over both
// classes.
#include "losses/completion_objective.h"
#include "losses/family.h"
#include "losses/log_math.h"

namespace ddro::losses {
namespace {

// sigmoid(-beta (l - kl)) of a preferred completion, sigmoid(beta (l - kl)) of an unpreferred one, times its
// class's weight.
class KtoObjective : public CompletionObjective {
 public:
  KtoObjective(const ObjectiveOptions& options, double alpha, bool has_reference_point)
      : CompletionObjective(alpha, options.beta, ClassReduction::kPooled),
        beta_(options.beta),
        desirable_weight_(options.desirable_weight),
        undesirable_weight_(options.undesirable_weight),
        has_reference_point_(has_reference_point) {}

  bool needs_mismatched() const override { return has_reference_point_; }

 protected:
  Term term(const ScoredCompletion& completion, const BatchCounts& counts, size_t) const override {
    const double reference_point = has_reference_point_ ? counts.kl : 0;
    const double sign = completion.chosen ? -1 : 1;
    const double weight = completion.chosen ? desirable_weight_ : undesirable_weight_;
    const double x = sign * beta_ * (completion.log_ratio() - reference_point);
    return {weight * sigmoid(x), weight * sign * beta_ * sigmoid(x) * sigmoid(-x)};
  }

 private:
  double beta_;
  double desirable_weight_;
  double undesirable_weight_;
  bool has_reference_point_;
};

LossFamily family(LossType type, const char* name, bool has_reference_point) {
  return {.type = type,
          .name = name,
          .needs_mismatched = has_reference_point,
          .options = {"beta", "desirable_weight", "undesirable_weight"},
          .make = [has_reference_point](const ObjectiveOptions& options, double alpha) {
            return std::make_unique<KtoObjective>(options, alpha, has_reference_point);
          }};
}

}  // namespace

std::vector<LossFamily> kto_families() {
  return {family(LossType::kKto, "kto", true),
          family(LossType::kApoZeroUnpaired, "apo_zero_unpaired", false)};
}

}  // namespace ddro::losses
