// BCO: rewards beta l against their mean over the effective batch, by the logistic loss, pooled over both
// classes.
#include "losses/family.h"
#include "losses/log_math.h"
#include "losses/row_objective.h"

namespace ddro::losses {
namespace {

class BcoObjective : public RatioObjective {
 public:
  BcoObjective(double beta, double alpha) : RatioObjective(alpha, beta), beta_(beta) {}

  Locality locality() const override { return Locality::kBatch; }

  void evaluate(std::span<const LossRow> rows, const BatchCounts& counts, std::span<double> row_loss,
                std::span<double> dloss_dlogp) const override {
    check_rows(rows, counts, row_loss, dloss_dlogp);
    check_whole(rows, counts);
    // The same for either class.
    const double scale = class_scales(ClassReduction::kPooled, counts).chosen;
    // A constant of the step: the derivative does not pass through it.
    double mean_reward = 0;
    for (const LossRow& row : rows) mean_reward += scale * row.weight * reward(row);
    for (size_t i = 0; i < rows.size(); ++i) {
      const double sign = rows[i].chosen ? -1 : 1;
      const double x = sign * (reward(rows[i]) - mean_reward);
      row_loss[i] = scale * rows[i].weight * softplus(x);
      dloss_dlogp[i] = scale * rows[i].weight * sign * beta_ * sigmoid(x);
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
