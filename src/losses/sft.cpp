// Supervised fine-tuning: the mean negative log-likelihood of the preferred completions' tokens.
#include <limits>

#include "ddro/base/error.h"
#include "losses/family.h"

namespace ddro::losses {
namespace {

class SftObjective : public Objective {
 public:
  Locality locality() const override { return Locality::kCompletion; }
  bool reads_reference() const override { return false; }
  double reward(const ScoredCompletion&) const override { return std::numeric_limits<double>::quiet_NaN(); }
  double alpha() const override { return std::numeric_limits<double>::quiet_NaN(); }

  void evaluate(std::span<const ScoredCompletion> completions, const BatchCounts& counts,
                std::span<double> completion_loss, std::span<double> dloss_dlogp) const override {
    DDRO_CHECK(completion_loss.size() == completions.size() && dloss_dlogp.size() == completions.size(),
               "one output a completion");
    for (size_t i = 0; i < completions.size(); ++i) {
      completion_loss[i] = dloss_dlogp[i] = 0;
      if (!completions[i].chosen) continue;
      DDRO_CHECK(counts.chosen_tokens > 0, "a preferred completion whose tokens the counts lack");
      dloss_dlogp[i] = -completions[i].weight / counts.chosen_tokens;
      completion_loss[i] = dloss_dlogp[i] * completions[i].logp;
    }
  }
};

std::unique_ptr<Objective> make(const ObjectiveOptions&, double) { return std::make_unique<SftObjective>(); }

}  // namespace

LossFamily sft_family() {
  return {.type = LossType::kSft, .name = "sft", .reads_reference = false, .make = make};
}

}  // namespace ddro::losses
