// The losses of pairs that read no reference: a comparison, plus the likelihood of the preferred completions.
#include <cmath>

#include "losses/log_math.h"
#include "losses/pair_objective.h"
#include "losses/sum_objective.h"

namespace ddro::losses {
namespace {

// A mean log-probability nearer to 0 is not told from 0 in float32; the odds are infinite there.
constexpr double kLargestMeanLogp = -1e-7;

Term simpo(double x, const ObjectiveOptions& options) {
  return smoothed_logistic(x - options.simpo_gamma, options);
}

// log(p / (1 - p)), p = exp(mean log-probability of a token); linear beyond the largest.
Term log_odds(const ScoredCompletion& completion, const ObjectiveOptions& options) {
  const Term mean = mean_logp(completion, options);
  const double at = mean.value > kLargestMeanLogp ? kLargestMeanLogp : mean.value;
  const double slope = -1 / std::expm1(at);
  return {at - log1mexp(at) + slope * (mean.value - at), slope * mean.slope};
}

// beta softplus(-o), o = x / beta the difference of the log-odds.
Term odds_ratio(double x, const ObjectiveOptions& options) {
  const double o = x / options.beta;
  return {options.beta * softplus(-o), -sigmoid(-o)};
}

// `likelihood`: weight of the preferred completions' token-mean negative log-likelihood.
LossFamily family(LossType type, const char* name, PairFunction term, Measure reward,
                  std::vector<std::string_view> options, double (*likelihood)(const ObjectiveOptions&)) {
  return {.type = type,
          .name = name,
          .reads_reference = false,
          .needs_pairs = true,
          .options = std::move(options),
          .make = [=](const ObjectiveOptions& given, double alpha) -> std::unique_ptr<Objective> {
            std::vector<WeightedObjective> parts;
            parts.push_back({1, std::make_unique<PairObjective>(type, term, reward, given, alpha)});
            const double weight = likelihood(given);
            if (weight > 0) parts.push_back({weight, sft_family().make(given, alpha)});
            return make_sum(std::move(parts));
          }};
}

}  // namespace

std::vector<LossFamily> reference_free_families() {
  return {
      family(LossType::kSimpo, "simpo", margin(simpo, mean_logp), mean_logp,
             {"beta", "label_smoothing", "simpo_gamma", "cpo_alpha"},
             [](const ObjectiveOptions& options) { return options.cpo_alpha.value_or(0); }),
      family(LossType::kCpo, "cpo", margin(smoothed_logistic, logp), logp,
             {"beta", "label_smoothing", "cpo_alpha"},
             [](const ObjectiveOptions& options) { return options.cpo_alpha.value_or(1); }),
      family(LossType::kOrpo, "orpo", margin(odds_ratio, log_odds), mean_logp, {"beta"},
             [](const ObjectiveOptions&) { return 1.0; }),
  };
}

}  // namespace ddro::losses
