// Scalar functions that stay exact where their textbook forms overflow or cancel.
#pragma once

#include <cmath>
#include <numbers>

namespace ddro::losses {

// log(1 - exp(x)) for x < 0.
inline double log1mexp(double x) {
  return x > -std::numbers::ln2 ? std::log(-std::expm1(x)) : std::log1p(-std::exp(x));
}

// log(1 + exp(x)).
inline double softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

// 1 / (1 + exp(-x)), the slope of softplus.
inline double sigmoid(double x) {
  if (x > 0) return 1 / (1 + std::exp(-x));
  const double e = std::exp(x);
  return e / (1 + e);
}

}  // namespace ddro::losses
