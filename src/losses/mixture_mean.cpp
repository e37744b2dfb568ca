#include "ddro/losses/mixture_mean.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace ddro::losses {
namespace {

// The mean of w x over that of w, and its error: the root of the sum of w^2 (x - mean)^2 over the sum of w,
// with n / (n - 1) since the mean is estimated too.
std::optional<Estimate> class_estimate(std::span<const ScoredCompletion> completions,
                                       std::span<const double> values, bool chosen) {
  double weight = 0;
  double sum = 0;
  double count = 0;
  for (size_t i = 0; i < completions.size(); ++i) {
    if (completions[i].chosen != chosen) continue;
    weight += completions[i].weight;
    sum += completions[i].weight * values[i];
    ++count;
  }
  if (count == 0) return std::nullopt;
  const double mean = sum / weight;
  double squares = 0;
  for (size_t i = 0; i < completions.size(); ++i) {
    if (completions[i].chosen == chosen) squares += std::pow(completions[i].weight * (values[i] - mean), 2);
  }
  if (count == 1) return Estimate{mean, std::nullopt};
  return Estimate{mean, std::sqrt(squares * count / (count - 1)) / weight};
}

}  // namespace

std::optional<Estimate> mixture_mean(std::span<const ScoredCompletion> completions,
                                     std::span<const double> values, double alpha) {
  const auto chosen = class_estimate(completions, values, true);
  const auto rejected = class_estimate(completions, values, false);
  if (!chosen || !rejected) return std::nullopt;
  Estimate result{alpha * chosen->mean + (1 - alpha) * rejected->mean, std::nullopt};
  if (chosen->standard_error && rejected->standard_error) {
    result.standard_error =
        std::hypot(alpha * *chosen->standard_error, (1 - alpha) * *rejected->standard_error);
  }
  return result;
}

// The largest l is taken out first, so that only the result can overflow.
std::optional<Estimate> mixture_ratio(std::span<const ScoredCompletion> completions, double alpha) {
  double largest = -std::numeric_limits<double>::infinity();
  for (const ScoredCompletion& completion : completions) largest = std::max(largest, completion.log_ratio());
  if (std::isinf(largest)) largest = 0;
  std::vector<double> ratios;
  for (const ScoredCompletion& completion : completions)
    ratios.push_back(std::exp(completion.log_ratio() - largest));
  std::optional<Estimate> result = mixture_mean(completions, ratios, alpha);
  if (result) {
    result->mean *= std::exp(largest);
    if (result->standard_error) *result->standard_error *= std::exp(largest);
  }
  return result;
}

}  // namespace ddro::losses
