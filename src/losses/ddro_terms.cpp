#include "losses/ddro_terms.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "losses/log_math.h"

namespace ddro::losses {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

DdroTerms::DdroTerms(const ObjectiveOptions& options, double alpha, double max_weight)
    : generator_(options.generator),
      power_(options.basu_power),
      log_alpha_(std::log(alpha)),
      log_beta_(std::log1p(-alpha)),
      k_(1 - 2 * alpha) {
  const bool capped = options.stabilizer != Stabilizer::kNone;
  cap_x_ = capped ? -std::log1p(1 / max_weight) : kInfinity;
  cap_ = cap_x_ - log_alpha_;
  ceiling_ = options.stabilizer == Stabilizer::kCeiling ? -log_alpha_ : kInfinity;
  preferred_pole_ = generator_ != Generator::kLogistic ? -log_alpha_ : k_ < 0 ? -std::log(-k_) : kInfinity;
}

Term DdroTerms::preferred(double log_ratio) const {
  if (log_ratio > ceiling_) return {extended(ceiling_, true).value, 0};
  return extended(log_ratio, true);
}

Term DdroTerms::extended(double log_ratio, bool preferred) const {
  const double x = log_ratio + log_alpha_;
  Term term = exact({std::min(log_ratio, cap_), std::min(x, cap_x_)}, preferred);
  if (x > cap_x_) term.value += term.slope * (x - cap_x_);
  return term;
}

Term DdroTerms::exact(const Point& at, bool preferred) const {
  if (generator_ == Generator::kLogistic) return logistic(at, preferred);
  const double log_g = log_beta_ + at.l - log1mexp(at.x);
  const double g = std::exp(log_g);
  const double dlog_g = -1 / std::expm1(at.x);  // d log g / dl = 1 + w = 1/(1 - a r)
  if (generator_ == Generator::kKl) return preferred ? Term{-log_g, -dlog_g} : Term{g, g * dlog_g};
  if (generator_ == Generator::kLsif)
    return preferred ? Term{-g, -g * dlog_g} : Term{g * g / 2, g * g * dlog_g};
  const double b = power_;
  const double power = std::exp(b * log_g);
  // ((1+b) g^b - 1)/b, without the cancellation at small b.
  if (preferred) return {-(power + std::expm1(b * log_g) / b), -(1 + b) * power * dlog_g};
  const double next_power = std::exp((1 + b) * log_g);
  return {next_power, (1 + b) * next_power * dlog_g};
}

Term DdroTerms::logistic(const Point& at, bool preferred) const {
  // r may overflow in a preferred completion without a cap: 0 r is 0 then too, and log(1 + k r) needs no r.
  const double kr = k_ == 0 ? 0 : k_ * std::exp(at.l);
  const double c = k_ > 0 ? softplus(at.l + std::log(k_)) : std::log1p(kr);
  if (preferred) return {c - at.l - log_beta_, -1 / (1 + kr)};
  const double w = -std::exp(at.x) / std::expm1(at.x);
  return {c - log1mexp(at.x), w + kr / (1 + kr)};
}

}  // namespace ddro::losses
