// RDRO: the logistic loss of the relative ratio p+/(a p+ + (1-a) p-) = r, bounded by construction.
#include "losses/class_objective.h"
#include "losses/family.h"
#include "losses/log_math.h"

namespace ddro::losses {
namespace {

class RdroObjective : public ClassObjective {
 public:
  using ClassObjective::ClassObjective;

 protected:
  Term term(double log_ratio, bool chosen, size_t) const override {
    const double a = alpha();
    const double s = sigmoid(log_ratio);
    if (!chosen) return {(1 - a) * softplus(log_ratio), (1 - a) * s};
    // (1+a) softplus(l) - l, with softplus(l) - l = softplus(-l).
    return {a * softplus(log_ratio) + softplus(-log_ratio), a * s - sigmoid(-log_ratio)};
  }
};

std::unique_ptr<Objective> make(const ObjectiveOptions& options, double alpha) {
  return std::make_unique<RdroObjective>(alpha, options.class_reduction);
}

bool has_option(const ObjectiveOptions&, std::string_view key) {
  return key == "alpha" || key == "class_reduction";
}

}  // namespace

LossFamily rdro_family() { return {.name = "rdro", .has_option = has_option, .make = make}; }

}  // namespace ddro::losses
