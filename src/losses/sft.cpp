// Supervised fine-tuning: the mean negative log-likelihood of the preferred completions' tokens.
#include <limits>

#include "ddro/base/error.h"
#include "losses/family.h"

namespace ddro::losses {
namespace {

class SftObjective : public Objective {
 public:
  Locality locality() const override { return Locality::kRow; }
  bool reads_reference() const override { return false; }
  double reward(const LossRow&) const override { return std::numeric_limits<double>::quiet_NaN(); }
  double alpha() const override { return std::numeric_limits<double>::quiet_NaN(); }

  void evaluate(std::span<const LossRow> rows, const BatchCounts& counts, std::span<double> row_loss,
                std::span<double> dloss_dlogp) const override {
    DDRO_CHECK(row_loss.size() == rows.size() && dloss_dlogp.size() == rows.size(), "one output a row");
    for (size_t i = 0; i < rows.size(); ++i) {
      row_loss[i] = dloss_dlogp[i] = 0;
      if (!rows[i].chosen) continue;
      DDRO_CHECK(counts.chosen_tokens > 0, "a preferred row whose tokens the counts lack");
      dloss_dlogp[i] = -rows[i].weight / counts.chosen_tokens;
      row_loss[i] = dloss_dlogp[i] * rows[i].logp;
    }
  }
};

std::unique_ptr<Objective> make(const ObjectiveOptions&, double) { return std::make_unique<SftObjective>(); }

}  // namespace

LossFamily sft_family() {
  return {.type = LossType::kSft, .name = "sft", .reads_reference = false, .make = make};
}

}  // namespace ddro::losses
