// Means over the mixture that density-ratio losses take the reference to be.
//
// `pi_ref = a p+ + (1 - a) p-` makes the reference's expectation of any x
//
//   E_ref[x] = a E_+[x] + (1 - a) E_-[x]
//
// so that what is known of E_ref[x] tests the assumption on the rows: E_ref[pi / pi_ref] is 1 for every
// policy.
#pragma once

#include <optional>
#include <span>

#include "ddro/losses/objective.h"

namespace ddro::losses {

struct Estimate {
  double mean = 0;
  std::optional<double> standard_error;  // none where a class has one completion
};

// `values`: x of each of `completions`, whose weights count them within their class; `alpha`: a. A class's
// completions are taken as independent. nullopt without completions of both classes.
std::optional<Estimate> mixture_mean(std::span<const ScoredCompletion> completions,
                                     std::span<const double> values, double alpha);

// Of exp(l): 1 but for its standard error where the rows are the reference's samples, which the policy was
// not trained on, and alpha is the share of preferred ones among them. A mean of ratios is carried by its
// largest ones: falling short of 1 says little, being above it by some standard errors does.
std::optional<Estimate> mixture_ratio(std::span<const ScoredCompletion> completions, double alpha);

}  // namespace ddro::losses
