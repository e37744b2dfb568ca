#include "losses/sum_objective.h"

#include <algorithm>
#include <cmath>

namespace ddro::losses {
namespace {

class SumObjective : public Objective {
 public:
  explicit SumObjective(std::vector<WeightedObjective> parts) : parts_(std::move(parts)) {}

  Locality locality() const override {
    Locality widest = Locality::kCompletion;
    for (const WeightedObjective& part : parts_) widest = std::max(widest, part.objective->locality());
    return widest;
  }
  bool reads_reference() const override {
    return any([](const Objective& part) { return part.reads_reference(); });
  }
  bool needs_mismatched() const override {
    return any([](const Objective& part) { return part.needs_mismatched(); });
  }
  double reward(const ScoredCompletion& completion) const override {
    return first_number([&](const Objective& part) { return part.reward(completion); });
  }
  double cap_log_ratio(const BatchCounts& counts) const override {
    double smallest = std::numeric_limits<double>::infinity();
    for (const WeightedObjective& part : parts_)
      smallest = std::min(smallest, part.objective->cap_log_ratio(counts));
    return smallest;
  }
  double alpha() const override {
    return first_number([](const Objective& part) { return part.alpha(); });
  }

  void evaluate(std::span<const ScoredCompletion> completions, const BatchCounts& counts,
                std::span<double> completion_loss, std::span<double> dloss_dlogp) const override {
    std::fill(completion_loss.begin(), completion_loss.end(), 0.0);
    std::fill(dloss_dlogp.begin(), dloss_dlogp.end(), 0.0);
    std::vector<double> loss(completion_loss.size());
    std::vector<double> derivative(dloss_dlogp.size());
    for (const WeightedObjective& part : parts_) {
      part.objective->evaluate(completions, counts, loss, derivative);
      for (size_t i = 0; i < completions.size(); ++i) {
        completion_loss[i] += part.weight * loss[i];
        dloss_dlogp[i] += part.weight * derivative[i];
      }
    }
  }

 private:
  template <typename Holds>
  bool any(Holds holds) const {
    return std::any_of(parts_.begin(), parts_.end(),
                       [&](const WeightedObjective& part) { return holds(*part.objective); });
  }
  template <typename Value>
  double first_number(Value value) const {
    double result = std::numeric_limits<double>::quiet_NaN();
    for (size_t i = 0; i < parts_.size() && std::isnan(result); ++i) result = value(*parts_[i].objective);
    return result;
  }

  std::vector<WeightedObjective> parts_;
};

}  // namespace

std::unique_ptr<Objective> make_sum(std::vector<WeightedObjective> parts) {
  if (parts.size() == 1 && parts.front().weight == 1) return std::move(parts.front().objective);
  return std::make_unique<SumObjective>(std::move(parts));
}

}  // namespace ddro::losses
