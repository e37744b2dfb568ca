// DDRO: Bregman estimation of the density ratio p+/p- = (1-a) r / (1 - a r).
#include <cmath>

#include "ddro/base/error.h"
#include "losses/ddro_terms.h"
#include "losses/family.h"

namespace ddro::losses {
namespace {

class DdroObjective : public ClassObjective {
 public:
  DdroObjective(const ObjectiveOptions& options, double alpha)
      : ClassObjective(alpha, options.class_reduction), terms_(options, alpha) {}

  double cap_log_ratio() const override { return terms_.cap(); }

 protected:
  Term term(double log_ratio, bool chosen, size_t index) const override {
    if (std::isinf(terms_.cap())) check_pole(log_ratio, chosen, index);
    const Term term = chosen ? terms_.preferred(log_ratio) : terms_.unpreferred(log_ratio);
    // Only the raw loss can get here: a power of g beyond the range of a double, short of the pole.
    if (std::isfinite(log_ratio) && !(std::isfinite(term.value) && std::isfinite(term.slope))) {
      throw pole_error(log_ratio, chosen, index);
    }
    return term;
  }

 private:
  void check_pole(double log_ratio, bool chosen, size_t index) const {
    if (log_ratio >= pole(chosen)) throw pole_error(log_ratio, chosen, index);
  }

  double pole(bool chosen) const { return chosen ? terms_.preferred_pole() : terms_.unpreferred_pole(); }

  PoleError pole_error(double log_ratio, bool chosen, size_t index) const {
    return {"[objective.stabilizer] the raw loss is not finite at " +
                std::string(chosen ? "preferred" : "unpreferred") + " row " + std::to_string(index) +
                "; got log-ratio " + number_text(log_ratio) + ", expected less than " +
                number_text(pole(chosen)) + "; stabilizer cap keeps it finite",
            index};
  }

  DdroTerms terms_;
};

// The non-negative correction: with the capped terms P, U and C = 1/R, R = (1-a) W / a the bound on g,
//   L = mean+(P + C U) + max(0, mean-(U) - C mean+(U))
class NnbdObjective : public ClassObjective {
 public:
  NnbdObjective(const ObjectiveOptions& options, double alpha)
      : ClassObjective(alpha, ClassReduction::kClassMean),
        terms_(options, alpha),
        inverse_bound_(alpha / ((1 - alpha) * options.max_weight)) {}

  Locality locality() const override { return Locality::kBatch; }
  double cap_log_ratio() const override { return terms_.cap(); }

  void evaluate(std::span<const LossRow> rows, const BatchCounts& counts, std::span<double> row_loss,
                std::span<double> dloss_dlogp) const override {
    check_rows(rows, counts, row_loss, dloss_dlogp);
    check_whole(rows, counts);
    const ClassScales scales = class_scales(ClassReduction::kClassMean, counts);
    double bracket = 0;
    for (const LossRow& row : rows) {
      const double u = terms_.unpreferred(row.log_ratio()).value * row.weight;
      bracket += row.chosen ? -inverse_bound_ * scales.chosen * u : scales.rejected * u;
    }
    // A bracket that is not a number must not pass for a negative one.
    const double active = bracket <= 0 ? 0 : 1;
    for (size_t i = 0; i < rows.size(); ++i) {
      const LossRow& row = rows[i];
      const Term u = terms_.unpreferred(row.log_ratio());
      const Term p = row.chosen ? terms_.preferred(row.log_ratio()) : Term{};
      const double scale = row.weight * (row.chosen ? scales.chosen : scales.rejected);
      const double u_factor = row.chosen ? (1 - active) * inverse_bound_ : active;
      row_loss[i] = scale * (p.value + u_factor * u.value);
      dloss_dlogp[i] = scale * (p.slope + u_factor * u.slope);
    }
  }

 protected:
  Term term(double, bool, size_t) const override {
    check_failed("evaluated as a whole", __FILE__, __LINE__, "nnbd has no term of a single row");
  }

 private:
  static void check_whole(std::span<const LossRow> rows, const BatchCounts& counts) {
    if (!(counts.chosen > 0 && counts.rejected > 0)) {
      throw input_error("[objective.stabilizer] nnbd needs both classes in every effective batch; got N+ = " +
                        number_text(counts.chosen) + ", N- = " + number_text(counts.rejected) +
                        "; raise train.train_batch_size or use stabilizer cap");
    }
    double weight = 0;
    for (const LossRow& row : rows) weight += row.weight;
    const double expected = counts.chosen + counts.rejected;
    DDRO_CHECK(std::abs(weight - expected) <= 1e-9 * expected,
               "nnbd is evaluated on the whole effective batch");
  }

  DdroTerms terms_;
  double inverse_bound_;
};

// Refuses caps at which the linear continuation would leave the range of a double.
void check_finite(const ObjectiveOptions& options, double alpha) {
  const DdroTerms terms(options, alpha);
  const double far = terms.cap() + 1e5;
  if (std::isfinite(terms.preferred(far).value) && std::isfinite(terms.unpreferred(far).value)) return;
  throw input_error("[objective.max_weight] the capped loss overflows; got " +
                    number_text(options.max_weight) + " at alpha = " + number_text(alpha) +
                    "; lower max_weight or basu_power");
}

std::unique_ptr<Objective> make(const ObjectiveOptions& options, double alpha) {
  if (options.stabilizer != Stabilizer::kNone) check_finite(options, alpha);
  if (options.stabilizer == Stabilizer::kNnbd) return std::make_unique<NnbdObjective>(options, alpha);
  return std::make_unique<DdroObjective>(options, alpha);
}

bool has_option(const ObjectiveOptions& options, std::string_view key) {
  if (key == "basu_power") return options.generator == Generator::kBasu;
  if (key == "max_weight") return options.stabilizer != Stabilizer::kNone;
  return key != "beta";
}

}  // namespace

LossFamily ddro_family() { return {.name = "ddro", .has_option = has_option, .make = make}; }

}  // namespace ddro::losses
