#include "losses/f_divergence.h"

#include <algorithm>
#include <cmath>

#include "ddro/base/error.h"
#include "losses/log_math.h"

namespace ddro::losses {
namespace {

constexpr double kLargestExponent = 80;

// exp(c z)/c, linear in z beyond the largest exponent.
Term scaled_exp(double c, double z) {
  const double exponent = c * z;
  const double at = exponent > kLargestExponent ? kLargestExponent : exponent;  // keeps what is not a number
  const double e = std::exp(at);
  return {e * (1 + (exponent - at)) / c, e};
}

}  // namespace

Term f_divergence(double z, const ObjectiveOptions& options) {
  switch (options.f_divergence_type) {
    case FDivergence::kReverseKl:
      return {z, 1};
    case FDivergence::kForwardKl:
      return scaled_exp(-1, z);
    case FDivergence::kJsDivergence:
      return {-softplus(-z), sigmoid(-z)};
    case FDivergence::kAlphaDivergence:
      return scaled_exp(options.f_alpha_divergence_coef - 1, z);
  }
  check_failed("known divergence", __FILE__, __LINE__, "an enumerator without a case");
}

}  // namespace ddro::losses
