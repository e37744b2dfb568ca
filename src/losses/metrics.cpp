#include "ddro/losses/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "ddro/losses/mixture_mean.h"

namespace ddro::losses {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// What is not defined for some completions: a class they lack, a log-ratio without a reference.
using Value = std::optional<double>;

// Sum and weight of what has been added.
struct Mean {
  double sum = 0;
  double weight = 0;
  void add(double value, double w) {
    sum += w * value;
    weight += w;
  }
  Value value() const { return weight > 0 ? Value(sum / weight) : std::nullopt; }
};

// Weighted mean of value(completion) over the completions of one class.
template <class Function>
Value class_mean(std::span<const ScoredCompletion> completions, bool chosen, Function value) {
  Mean mean;
  for (const ScoredCompletion& completion : completions) {
    if (completion.chosen == chosen) mean.add(value(completion), completion.weight);
  }
  return mean.value();
}

double log_ratio(const ScoredCompletion& completion) { return completion.log_ratio(); }

// exp of the logmeanexp of l: the largest l is taken out first, so that only the result can overflow.
Value ratio_mean(std::span<const ScoredCompletion> completions, bool chosen) {
  double largest = -std::numeric_limits<double>::infinity();
  for (const ScoredCompletion& completion : completions) {
    if (completion.chosen == chosen) largest = std::max(largest, completion.log_ratio());
  }
  if (std::isinf(largest))
    return class_mean(completions, chosen,
                      [](const ScoredCompletion& completion) { return std::exp(completion.log_ratio()); });
  const Value mean = class_mean(completions, chosen, [largest](const ScoredCompletion& completion) {
    return std::exp(completion.log_ratio() - largest);
  });
  return mean ? Value(std::exp(largest + std::log(*mean))) : std::nullopt;
}

// P(l+ > l-) + P(l+ = l-)/2 over all cross pairs: completions in ascending order of l, equal ones at a time.
Value auc(std::span<const ScoredCompletion> completions) {
  std::vector<const ScoredCompletion*> order;
  for (const ScoredCompletion& completion : completions) {
    if (std::isnan(completion.log_ratio())) return kNan;
    order.push_back(&completion);
  }
  std::sort(order.begin(), order.end(), [](const ScoredCompletion* a, const ScoredCompletion* b) {
    return a->log_ratio() < b->log_ratio();
  });
  double chosen = 0;
  double rejected = 0;
  double won = 0;
  for (size_t i = 0; i < order.size();) {
    double tied_chosen = 0;
    double tied_rejected = 0;
    const double value = order[i]->log_ratio();
    for (; i < order.size() && order[i]->log_ratio() == value; ++i) {
      (order[i]->chosen ? tied_chosen : tied_rejected) += order[i]->weight;
    }
    won += tied_chosen * (rejected + tied_rejected / 2);
    chosen += tied_chosen;
    rejected += tied_rejected;
  }
  if (chosen == 0 || rejected == 0) return std::nullopt;
  return won / (chosen * rejected);
}

// Smallest l of a class at or below which lie `percent` of its weight (nearest rank).
Value log_ratio_percentile(std::span<const ScoredCompletion> completions, bool chosen, double percent) {
  std::vector<std::pair<double, double>> order;  // l, weight
  double total = 0;
  for (const ScoredCompletion& completion : completions) {
    if (completion.chosen != chosen) continue;
    if (std::isnan(completion.log_ratio())) return kNan;
    order.emplace_back(completion.log_ratio(), completion.weight);
    total += completion.weight;
  }
  std::sort(order.begin(), order.end());
  double below = 0;
  for (const auto& [value, weight] : order) {
    below += weight;
    if (100 * below >= percent * total) return value;
  }
  if (order.empty()) return std::nullopt;
  return order.back().first;  // the sums may differ by rounding
}

Value abs_max(std::span<const ScoredCompletion> completions) {
  double largest = 0;
  for (const ScoredCompletion& completion : completions) {
    const double value = std::abs(completion.log_ratio());
    if (std::isnan(value)) return kNan;
    largest = std::max(largest, value);
  }
  return completions.empty() ? std::nullopt : Value(largest);
}

struct PairMeans {
  Mean accuracy;
  Mean margin;  // of the rewards
};

PairMeans pair_means(std::span<const ScoredCompletion> completions, const Objective& objective) {
  PairMeans means;
  for (const ScoredCompletion& completion : completions) {
    if (!completion.chosen || completion.partner < 0) continue;
    const double margin =
        objective.reward(completion) - objective.reward(completions[static_cast<size_t>(completion.partner)]);
    means.accuracy.add(std::isnan(margin) ? kNan : margin > 0, completion.weight);
    means.margin.add(margin, completion.weight);
  }
  return means;
}

// Share of the unpreferred completions whose log-ratio is above `threshold`, or at it when `inclusive`.
Value rejected_share(std::span<const ScoredCompletion> completions, double threshold, bool inclusive) {
  return class_mean(completions, false, [=](const ScoredCompletion& completion) {
    const double l = completion.log_ratio();
    if (std::isnan(l) || std::isnan(threshold)) return kNan;
    return l > threshold || (inclusive && l == threshold) ? 1.0 : 0.0;
  });
}

class MetricList {
 public:
  void add(const char* name, Value value) {
    if (value) metrics.emplace_back(name, *value);
  }
  Metrics metrics;
};

Value difference(Value a, Value b) { return a && b ? Value(*a - *b) : std::nullopt; }

void add_rewards(std::span<const ScoredCompletion> completions, const Objective& objective,
                 MetricList& list) {
  // A loss that compares no completions has no reward of any completion.
  ScoredCompletion sound;
  sound.logp = sound.ref_logp = -1;
  if (std::isnan(objective.reward(sound))) return;
  const auto reward = [&](const ScoredCompletion& completion) { return objective.reward(completion); };
  const Value chosen = class_mean(completions, true, reward);
  const Value rejected = class_mean(completions, false, reward);
  const PairMeans pairs = pair_means(completions, objective);
  list.add("rewards/chosen", chosen);
  list.add("rewards/rejected", rejected);
  list.add("rewards/accuracies", pairs.accuracy.value());
  list.add("rewards/margins", pairs.margin.weight > 0 ? pairs.margin.value() : difference(chosen, rejected));
}

void add_log_ratios(std::span<const ScoredCompletion> completions, const Objective& objective,
                    const BatchCounts& counts, MetricList& list) {
  list.add("log_ratio/chosen", class_mean(completions, true, log_ratio));
  list.add("log_ratio/rejected", class_mean(completions, false, log_ratio));
  list.add("log_ratio/abs_max", abs_max(completions));
  list.add("log_ratio/chosen_p10", log_ratio_percentile(completions, true, 10));
  list.add("log_ratio/chosen_p50", log_ratio_percentile(completions, true, 50));
  list.add("log_ratio/chosen_p90", log_ratio_percentile(completions, true, 90));
  list.add("log_ratio/rejected_p10", log_ratio_percentile(completions, false, 10));
  list.add("log_ratio/rejected_p50", log_ratio_percentile(completions, false, 50));
  list.add("log_ratio/rejected_p90", log_ratio_percentile(completions, false, 90));
  list.add("ratio/auc", auc(completions));
  list.add("ratio/saturated", rejected_share(completions, -std::log(objective.alpha()), true));
  list.add("ratio/capped", rejected_share(completions, objective.cap_log_ratio(counts), false));
  list.add("ratio/chosen_mean", ratio_mean(completions, true));
  list.add("ratio/rejected_mean", ratio_mean(completions, false));
  if (const auto mixture = mixture_ratio(completions, objective.alpha())) {
    list.add("ratio/mixture_mean", mixture->mean);
    list.add("ratio/mixture_mean_se", mixture->standard_error);
  }
}

}  // namespace

Metrics preference_metrics(std::span<const ScoredCompletion> completions, const Objective& objective,
                           const BatchCounts& counts, double loss) {
  const auto logp = [](const ScoredCompletion& completion) { return completion.logp; };
  MetricList list;
  list.add("loss", loss);
  add_rewards(completions, objective, list);
  list.add("logps/chosen", class_mean(completions, true, logp));
  list.add("logps/rejected", class_mean(completions, false, logp));
  if (objective.reads_reference()) add_log_ratios(completions, objective, counts, list);
  if (objective.needs_mismatched()) list.add("kl", counts.kl);
  return list.metrics;
}

}  // namespace ddro::losses
