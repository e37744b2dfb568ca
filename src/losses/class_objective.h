// What the losses of single rows share: a term a row, scaled by its class's share of the effective batch.
#pragma once

#include "ddro/losses/objective.h"

namespace ddro::losses {

// A row's term of the loss and its derivative with respect to the log-ratio.
struct Term {
  double value = 0;
  double slope = 0;
};

// What a row of each class is multiplied by, its own weight aside: 1/N+ and 1/N-, or 1/(N+ + N-) when pooled.
struct ClassScales {
  double chosen = 0;
  double rejected = 0;
};

ClassScales class_scales(ClassReduction reduction, const BatchCounts& counts);

// For our own bugs: lengths that differ, a row whose class the counts say is absent.
void check_rows(std::span<const LossRow> rows, const BatchCounts& counts, std::span<const double> row_loss,
                std::span<const double> dloss_dlogp);

class ClassObjective : public Objective {
 public:
  ClassObjective(double alpha, ClassReduction reduction) : alpha_(alpha), reduction_(reduction) {}

  Locality locality() const override { return Locality::kRow; }
  bool reads_reference() const override { return true; }
  double reward_scale() const override { return 1; }
  double cap_log_ratio() const override;
  double alpha() const override { return alpha_; }
  void evaluate(std::span<const LossRow> rows, const BatchCounts& counts, std::span<double> row_loss,
                std::span<double> dloss_dlogp) const override;

 protected:
  // `index` is for messages.
  virtual Term term(double log_ratio, bool chosen, size_t index) const = 0;

 private:
  double alpha_;
  ClassReduction reduction_;
};

}  // namespace ddro::losses
