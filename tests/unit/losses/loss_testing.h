// What the tests of losses share.
#pragma once

#include <numeric>
#include <span>
#include <vector>

#include "ddro/losses/objective.h"

namespace ddro::losses {

struct Evaluation {
  std::vector<double> completion_loss;
  std::vector<double> slope;  // d loss / d logp
  double loss = 0;
};

inline Evaluation evaluate(const Objective& objective, std::span<const ScoredCompletion> completions,
                           const BatchCounts& counts) {
  Evaluation result{std::vector<double>(completions.size()), std::vector<double>(completions.size()), 0};
  objective.evaluate(completions, counts, result.completion_loss, result.slope);
  result.loss = std::accumulate(result.completion_loss.begin(), result.completion_loss.end(), 0.0);
  return result;
}

// The completions are the whole effective batch.
inline Evaluation evaluate(const Objective& objective, std::span<const ScoredCompletion> completions) {
  return evaluate(objective, completions, batch_counts(completions));
}

inline ScoredCompletion chosen_at(double log_ratio) { return {.logp = log_ratio, .chosen = true}; }
inline ScoredCompletion rejected_at(double log_ratio) { return {.logp = log_ratio, .chosen = false}; }

inline std::vector<ScoredCompletion> unpaired(const std::vector<double>& chosen,
                                              const std::vector<double>& rejected) {
  std::vector<ScoredCompletion> completions;
  for (const double l : chosen) completions.push_back(chosen_at(l));
  for (const double l : rejected) completions.push_back(rejected_at(l));
  return completions;
}

// Completion 2i is preferred, completion 2i + 1 its partner.
inline std::vector<ScoredCompletion> paired(const std::vector<double>& chosen,
                                            const std::vector<double>& rejected) {
  std::vector<ScoredCompletion> completions;
  for (size_t i = 0; i < chosen.size(); ++i) {
    const auto first = static_cast<std::int64_t>(completions.size());
    completions.push_back({.logp = chosen[i], .chosen = true, .partner = first + 1});
    completions.push_back({.logp = rejected[i], .chosen = false, .partner = first});
  }
  return completions;
}

// Options as a configuration that names nothing would leave them.
inline ObjectiveOptions ddro_options(Generator generator, double alpha, double max_weight,
                                     Stabilizer stabilizer = Stabilizer::kCap) {
  ObjectiveOptions options;
  options.generator = generator;
  options.alpha = alpha;
  options.max_weight = max_weight;
  options.stabilizer = stabilizer;
  return options;
}

inline ObjectiveOptions options_of(LossType type, double alpha = 0.5) {
  ObjectiveOptions options;
  options.loss_type = type;
  if (type == LossType::kDdro || type == LossType::kRdro) options.alpha = alpha;
  if (type == LossType::kExoPair) options.label_smoothing = 0.1;
  return options;
}

inline std::vector<LossType> all_loss_types() {
  std::vector<LossType> types;
  for (const auto& [name, type] : loss_names()) {
    if (name == loss_name(type)) types.push_back(type);
  }
  return types;
}

}  // namespace ddro::losses
