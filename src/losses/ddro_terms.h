// The preferred and unpreferred terms of DDRO as functions of the log-ratio l, for each generator, exact up
// to the cap and linear beyond it; with a ceiling the preferred one is constant beyond r = 1/alpha, which no
// policy that is part of the reference exceeds.
#pragma once

#include "losses/completion_objective.h"

namespace ddro::losses {

class DdroTerms {
 public:
  // `max_weight` is not read with stabilizer none, which has no cap.
  DdroTerms(const ObjectiveOptions& options, double alpha, double max_weight);

  Term preferred(double log_ratio) const;
  Term unpreferred(double log_ratio) const { return extended(log_ratio, false); }

  // l* of the cap; +infinity without one.
  double cap() const { return cap_; }
  // The log-ratio from which on the uncapped term is not defined; +infinity when it always is.
  double preferred_pole() const { return preferred_pole_; }
  double unpreferred_pole() const { return -log_alpha_; }

 private:
  // l and x = l + log alpha, each clamped on its own: near the pole x = l + log alpha would cancel.
  struct Point {
    double l, x;
  };
  Term extended(double log_ratio, bool preferred) const;
  Term exact(const Point& at, bool preferred) const;
  Term logistic(const Point& at, bool preferred) const;

  Generator generator_;
  double power_;
  double log_alpha_, log_beta_;  // log_beta_: log(1 - alpha)
  double k_;                     // 1 - 2 alpha
  double cap_, cap_x_;
  double ceiling_;  // +infinity: none
  double preferred_pole_;
};

}  // namespace ddro::losses
