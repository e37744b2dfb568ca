// DPO: the logistic loss of the pair's difference of log-ratios, times beta.
#include <limits>

#include "ddro/base/error.h"
#include "losses/family.h"
#include "losses/log_math.h"

namespace ddro::losses {
namespace {

class SigmoidObjective : public Objective {
 public:
  SigmoidObjective(double beta, double alpha) : beta_(beta), alpha_(alpha) {}

  Locality locality() const override { return Locality::kPair; }
  bool reads_reference() const override { return true; }
  double reward_scale() const override { return beta_; }
  double cap_log_ratio() const override { return std::numeric_limits<double>::infinity(); }
  double alpha() const override { return alpha_; }

  void evaluate(std::span<const LossRow> rows, const BatchCounts& counts, std::span<double> row_loss,
                std::span<double> dloss_dlogp) const override {
    DDRO_CHECK(row_loss.size() == rows.size() && dloss_dlogp.size() == rows.size(), "one output a row");
    for (size_t i = 0; i < rows.size(); ++i) {
      const size_t other = partner_of(rows, i);
      if (!rows[i].chosen) continue;
      DDRO_CHECK(counts.pairs > 0, "a pair that the counts lack");
      const double scale = rows[i].weight / counts.pairs;
      const double margin = beta_ * (rows[i].log_ratio() - rows[other].log_ratio());
      const double slope = -scale * beta_ * sigmoid(-margin);
      row_loss[i] = row_loss[other] = scale * softplus(-margin) / 2;
      dloss_dlogp[i] = slope;
      dloss_dlogp[other] = -slope;
    }
  }

 private:
  static size_t partner_of(std::span<const LossRow> rows, size_t i) {
    const std::int64_t partner = rows[i].partner;
    if (partner < 0) {
      throw input_error("[objective.loss_type] sigmoid compares the two completions of a pair; row " +
                        std::to_string(i) + " has no partner; use paired data, ddro or rdro");
    }
    const auto other = static_cast<size_t>(partner);
    DDRO_CHECK(other < rows.size() && rows[other].partner == static_cast<std::int64_t>(i) &&
                   rows[other].chosen != rows[i].chosen && rows[other].weight == rows[i].weight,
               "partners name each other, differ in class and share a weight");
    return other;
  }

  double beta_;
  double alpha_;
};

std::unique_ptr<Objective> make(const ObjectiveOptions& options, double alpha) {
  return std::make_unique<SigmoidObjective>(options.beta, alpha);
}

bool has_option(const ObjectiveOptions&, std::string_view key) { return key == "beta"; }

}  // namespace

LossFamily sigmoid_family() {
  return {.name = "sigmoid", .needs_pairs = true, .has_option = has_option, .make = make};
}

}  // namespace ddro::losses
