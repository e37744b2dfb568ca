// DDRO: Bregman estimation of the density ratio p+/p- = (1-a) r / (1 - a r).
#include <algorithm>
#include <cmath>

#include "ddro/base/error.h"
#include "losses/ddro_terms.h"
#include "losses/family.h"

namespace ddro::losses {
namespace {

constexpr double kAutoFloor = 10;
constexpr double kMostCompletions = 1e12;  // more unpreferred completions than any run sees

// W: as given; or auto, which grows like the root of the unpreferred completions seen, in units of the weight
// that a completion has where policy and reference agree.
double weight_cap(const ObjectiveOptions& options, double alpha, double rejected_seen) {
  if (options.max_weight) return *options.max_weight;
  return std::max(1.0, alpha / (1 - alpha)) * std::max(kAutoFloor, std::sqrt(rejected_seen));
}

class DdroObjective : public CompletionObjective {
 public:
  DdroObjective(const ObjectiveOptions& options, double alpha)
      : CompletionObjective(alpha, 1, options.class_reduction), options_(options) {}

  double cap_log_ratio(const BatchCounts& counts) const override { return terms(counts).cap(); }

 protected:
  Term term(const ScoredCompletion& completion, const BatchCounts& counts, size_t index) const override {
    const DdroTerms terms = this->terms(counts);
    const double l = completion.log_ratio();
    const double pole = completion.chosen ? terms.preferred_pole() : terms.unpreferred_pole();
    if (std::isinf(terms.cap()) && l >= pole) throw pole_error(completion, pole, index);
    const Term term = completion.chosen ? terms.preferred(l) : terms.unpreferred(l);
    // Only the raw loss can get here: a power of g beyond the range of a double, short of the pole.
    if (std::isfinite(l) && !(std::isfinite(term.value) && std::isfinite(term.slope))) {
      throw pole_error(completion, pole, index);
    }
    return term;
  }

 private:
  DdroTerms terms(const BatchCounts& counts) const {
    return {options_, alpha(), weight_cap(options_, alpha(), counts.rejected_seen)};
  }

  static PoleError pole_error(const ScoredCompletion& completion, double pole, size_t index) {
    return {"[objective.stabilizer] the raw loss is not finite at " +
                std::string(completion.chosen ? "preferred" : "unpreferred") + " completion " +
                std::to_string(index) + "; got log-ratio " + printable(completion.log_ratio()) +
                ", expected less than " + printable(pole) + "; stabilizer cap keeps it finite",
            index};
  }

  ObjectiveOptions options_;
};

// The non-negative correction: with the capped terms P, U and C = 1/R, R = (1-a) W / a the bound on g,
//   L = mean+(P + C U) + max(0, mean-(U) - C mean+(U))
class NnbdObjective : public RatioObjective {
 public:
  NnbdObjective(const ObjectiveOptions& options, double alpha)
      : RatioObjective(alpha, 1), options_(options) {}

  Locality locality() const override { return Locality::kBatch; }
  double cap_log_ratio(const BatchCounts& counts) const override { return terms(counts).cap(); }

  void evaluate(std::span<const ScoredCompletion> completions, const BatchCounts& counts,
                std::span<double> completion_loss, std::span<double> dloss_dlogp) const override {
    check_completions(completions, counts, completion_loss, dloss_dlogp);
    check_classes(counts);
    check_whole(completions, counts);
    const DdroTerms terms = this->terms(counts);
    const double inverse_bound = alpha() / ((1 - alpha()) * cap(counts));
    const ClassScales scales = class_scales(ClassReduction::kClassMean, counts);
    double bracket = 0;
    for (const ScoredCompletion& completion : completions) {
      const double u = terms.unpreferred(completion.log_ratio()).value * completion.weight;
      bracket += completion.chosen ? -inverse_bound * scales.chosen * u : scales.rejected * u;
    }
    // A bracket that is not a number must not pass for a negative one.
    const double active = bracket <= 0 ? 0 : 1;
    for (size_t i = 0; i < completions.size(); ++i) {
      const ScoredCompletion& completion = completions[i];
      const Term u = terms.unpreferred(completion.log_ratio());
      const Term p = completion.chosen ? terms.preferred(completion.log_ratio()) : Term{};
      const double scale = completion.weight * (completion.chosen ? scales.chosen : scales.rejected);
      const double u_factor = completion.chosen ? (1 - active) * inverse_bound : active;
      completion_loss[i] = scale * (p.value + u_factor * u.value);
      dloss_dlogp[i] = scale * (p.slope + u_factor * u.slope);
    }
  }

 private:
  double cap(const BatchCounts& counts) const { return weight_cap(options_, alpha(), counts.rejected_seen); }
  DdroTerms terms(const BatchCounts& counts) const { return {options_, alpha(), cap(counts)}; }

  static void check_classes(const BatchCounts& counts) {
    if (counts.chosen > 0 && counts.rejected > 0) return;
    throw input_error("[objective.stabilizer] nnbd needs both classes in every effective batch; got N+ = " +
                      printable(counts.chosen) + ", N- = " + printable(counts.rejected) +
                      "; raise train.train_batch_size or use stabilizer cap");
  }

  ObjectiveOptions options_;
};

// Refuses caps at which the linear continuation would leave the range of a double.
void check_finite(const ObjectiveOptions& options, double alpha) {
  const double largest = weight_cap(options, alpha, kMostCompletions);
  const DdroTerms terms(options, alpha, largest);
  const double far = terms.cap() + 1e5;
  if (std::isfinite(terms.preferred(far).value) && std::isfinite(terms.unpreferred(far).value)) return;
  throw input_error("[objective.max_weight] the capped loss overflows; got " + printable(largest) +
                    " at alpha = " + printable(alpha) + "; lower max_weight or basu_power");
}

std::unique_ptr<Objective> make(const ObjectiveOptions& options, double alpha) {
  if (options.stabilizer != Stabilizer::kNone) check_finite(options, alpha);
  if (options.stabilizer == Stabilizer::kNnbd) return std::make_unique<NnbdObjective>(options, alpha);
  return std::make_unique<DdroObjective>(options, alpha);
}

}  // namespace

LossFamily ddro_family() {
  return {.type = LossType::kDdro,
          .name = "ddro",
          .options = {"alpha", "generator", "basu_power", "stabilizer", "max_weight", "class_reduction"},
          .make = make};
}

}  // namespace ddro::losses
