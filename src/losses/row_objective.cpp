#include "losses/row_objective.h"

#include <cmath>

#include "ddro/base/error.h"

namespace ddro::losses {

ClassScales class_scales(ClassReduction reduction, const BatchCounts& counts) {
  // A class without rows is never multiplied by its scale.
  if (reduction == ClassReduction::kClassMean) return {1 / counts.chosen, 1 / counts.rejected};
  const double all = counts.chosen + counts.rejected;
  return {1 / all, 1 / all};
}

void check_rows(std::span<const LossRow> rows, const BatchCounts& counts, std::span<const double> row_loss,
                std::span<const double> dloss_dlogp) {
  DDRO_CHECK(row_loss.size() == rows.size() && dloss_dlogp.size() == rows.size(), "one output a row");
  for (const LossRow& row : rows) {
    DDRO_CHECK((row.chosen ? counts.chosen : counts.rejected) > 0, "a row of a class that the counts lack");
  }
}

void check_whole(std::span<const LossRow> rows, const BatchCounts& counts) {
  double weight = 0;
  for (const LossRow& row : rows) weight += row.weight;
  const double expected = counts.chosen + counts.rejected;
  DDRO_CHECK(std::abs(weight - expected) <= 1e-9 * expected, "evaluated on the whole effective batch");
}

void RowObjective::evaluate(std::span<const LossRow> rows, const BatchCounts& counts,
                            std::span<double> row_loss, std::span<double> dloss_dlogp) const {
  check_rows(rows, counts, row_loss, dloss_dlogp);
  const ClassScales scales = class_scales(reduction_, counts);
  for (size_t i = 0; i < rows.size(); ++i) {
    const LossRow& row = rows[i];
    const Term t = term(row, counts, i);
    const double scale = row.weight * (row.chosen ? scales.chosen : scales.rejected);
    row_loss[i] = scale * t.value;
    dloss_dlogp[i] = scale * t.slope;
  }
}

}  // namespace ddro::losses
