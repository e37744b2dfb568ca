// The losses of pairs that read a reference. x is beta times what the measure of the loss compares; equations
// and their sources: docs/objectives.md.
#include <cmath>

#include "losses/f_divergence.h"
#include "losses/log_math.h"
#include "losses/pair_objective.h"

namespace ddro::losses {
namespace {

Term mean_log_ratio(const ScoredCompletion& completion, const ObjectiveOptions&) {
  const auto tokens = static_cast<double>(completion.num_tokens);
  return {completion.log_ratio() / tokens, 1 / tokens};
}

Term divergence(const ScoredCompletion& completion, const ObjectiveOptions& options) {
  return f_divergence(completion.log_ratio(), options);
}

Term logistic(double x, const ObjectiveOptions&) { return {softplus(-x), -sigmoid(-x)}; }
Term logistic_down(double x, const ObjectiveOptions&) { return {softplus(x), sigmoid(x)}; }

Term robust(double x, const ObjectiveOptions& options) {
  const double e = options.label_smoothing;
  return {((1 - e) * softplus(-x) - e * softplus(x)) / (1 - 2 * e),
          -((1 - e) * sigmoid(-x) + e * sigmoid(x)) / (1 - 2 * e)};
}

// Written so that an x that is not a number shows.
Term hinge(double x, const ObjectiveOptions&) { return x >= 1 ? Term{} : Term{1 - x, -1}; }

Term ipo(double x, const ObjectiveOptions& options) {
  const double distance = (x - 0.5) / options.beta;
  return {distance * distance, 2 * distance / options.beta};
}

Term exo(double x, const ObjectiveOptions& options) {
  const double e = options.label_smoothing;
  const double q = sigmoid(x);
  const double p = sigmoid(-x);
  return {q * (-softplus(-x) - std::log1p(-e)) + p * (-softplus(x) - std::log(e)),
          q * p * (x + std::log(e) - std::log1p(-e))};
}

// (1-m) softplus(-x) + m exp(-x), m = sigmoid(x / tau); the product is formed in the log domain.
Term discopop(double x, const ObjectiveOptions& options) {
  const double tau = options.discopop_tau;
  const double rest = sigmoid(-x / tau);  // 1 - m
  const double exponential = std::exp(-softplus(-x / tau) - x);
  const double m_slope = sigmoid(x / tau) * rest / tau;
  return {rest * softplus(-x) + exponential,
          exponential * (rest / tau - 1) - m_slope * softplus(-x) - rest * sigmoid(-x)};
}

Term nca_chosen(double x, const ObjectiveOptions&) {
  return {softplus(-x) + softplus(x) / 2, sigmoid(x) / 2 - sigmoid(-x)};
}
Term nca_rejected(double x, const ObjectiveOptions&) { return {softplus(x) / 2, sigmoid(x) / 2}; }

Term sppo_chosen(double x, const ObjectiveOptions& options) { return ipo(x, options); }
Term sppo_rejected(double x, const ObjectiveOptions& options) {
  const double distance = (x + 0.5) / options.beta;
  return {distance * distance, 2 * distance / options.beta};
}

Term rising_sigmoid(double x, const ObjectiveOptions&) { return {sigmoid(x), sigmoid(x) * sigmoid(-x)}; }
Term falling_sigmoid(double x, const ObjectiveOptions&) { return {sigmoid(-x), -sigmoid(x) * sigmoid(-x)}; }
Term nothing(double, const ObjectiveOptions&) { return {}; }

// Lowers both completions, the unpreferred one more.
PairTerm apo_down(const ScoredCompletion& chosen, const ScoredCompletion& rejected,
                  const ObjectiveOptions& options) {
  static const PairFunction both = separate(rising_sigmoid, nothing);
  static const PairFunction apart = margin(falling_sigmoid, log_ratio);
  const PairTerm a = both(chosen, rejected, options);
  const PairTerm b = apart(chosen, rejected, options);
  return {a.value + b.value, a.chosen_slope + b.chosen_slope, a.rejected_slope + b.rejected_slope};
}

LossFamily family(LossType type, const char* name, PairFunction term,
                  std::vector<std::string_view> more_options = {}, const char* other_name = nullptr) {
  std::vector<std::string_view> options = {"beta"};
  options.insert(options.end(), more_options.begin(), more_options.end());
  return {.type = type,
          .name = name,
          .other_name = other_name,
          .needs_pairs = true,
          .options = std::move(options),
          .make = [type, term](const ObjectiveOptions& given, double alpha) {
            return std::make_unique<PairObjective>(type, term, log_ratio, given, alpha);
          }};
}

}  // namespace

std::vector<LossFamily> pair_families() {
  return {
      family(LossType::kSigmoid, "sigmoid", margin(smoothed_logistic, divergence),
             {"label_smoothing", "f_divergence_type", "f_alpha_divergence_coef"}, "dpo"),
      family(LossType::kRobust, "robust", margin(robust, log_ratio), {"label_smoothing"}),
      family(LossType::kHinge, "hinge", margin(hinge, log_ratio)),
      family(LossType::kIpo, "ipo", margin(ipo, mean_log_ratio)),
      family(LossType::kExoPair, "exo_pair", margin(exo, log_ratio), {"label_smoothing"}),
      family(LossType::kNcaPair, "nca_pair", separate(nca_chosen, nca_rejected)),
      family(LossType::kBcoPair, "bco_pair", separate(logistic, logistic_down)),
      family(LossType::kSppoHard, "sppo_hard", separate(sppo_chosen, sppo_rejected)),
      family(LossType::kApoZero, "apo_zero", separate(falling_sigmoid, rising_sigmoid)),
      family(LossType::kApoDown, "apo_down", apo_down),
      family(LossType::kDiscopop, "discopop", margin(discopop, log_ratio), {"discopop_tau"}),
      family(LossType::kSigmoidNorm, "sigmoid_norm", margin(logistic, mean_log_ratio), {}, "dpo_norm"),
  };
}

}  // namespace ddro::losses
