#include "ddro/losses/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ddro::losses {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Sum and weight of what has been added; NaN as long as nothing has.
struct Mean {
  double sum = 0;
  double weight = 0;
  void add(double value, double w) {
    sum += w * value;
    weight += w;
  }
  double value() const { return weight > 0 ? sum / weight : kNan; }
};

// Weighted mean of value(row) over the rows of one class.
template <class Value>
double class_mean(std::span<const LossRow> rows, bool chosen, Value value) {
  Mean mean;
  for (const LossRow& row : rows) {
    if (row.chosen == chosen) mean.add(value(row), row.weight);
  }
  return mean.value();
}

double log_ratio(const LossRow& row) { return row.log_ratio(); }

// exp of the logmeanexp of l: the largest l is taken out first, so that only the result can overflow.
double ratio_mean(std::span<const LossRow> rows, bool chosen) {
  double largest = -std::numeric_limits<double>::infinity();
  for (const LossRow& row : rows) {
    if (row.chosen == chosen) largest = std::max(largest, row.log_ratio());
  }
  if (std::isinf(largest))
    return class_mean(rows, chosen, [](const LossRow& row) { return std::exp(row.log_ratio()); });
  const double mean =
      class_mean(rows, chosen, [largest](const LossRow& row) { return std::exp(row.log_ratio() - largest); });
  return std::exp(largest + std::log(mean));
}

// P(l+ > l-) + P(l+ = l-)/2 over all cross pairs: rows in ascending order of l, equal ones at a time.
double auc(std::span<const LossRow> rows) {
  std::vector<const LossRow*> order;
  for (const LossRow& row : rows) {
    if (std::isnan(row.log_ratio())) return kNan;
    order.push_back(&row);
  }
  std::sort(order.begin(), order.end(),
            [](const LossRow* a, const LossRow* b) { return a->log_ratio() < b->log_ratio(); });
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
  return chosen > 0 && rejected > 0 ? won / (chosen * rejected) : kNan;
}

// Smallest l of a class at or below which lie `percent` of its weight (nearest rank).
double log_ratio_percentile(std::span<const LossRow> rows, bool chosen, double percent) {
  std::vector<std::pair<double, double>> order;  // l, weight
  double total = 0;
  for (const LossRow& row : rows) {
    if (row.chosen != chosen) continue;
    if (std::isnan(row.log_ratio())) return kNan;
    order.emplace_back(row.log_ratio(), row.weight);
    total += row.weight;
  }
  std::sort(order.begin(), order.end());
  double below = 0;
  for (const auto& [value, weight] : order) {
    below += weight;
    if (100 * below >= percent * total) return value;
  }
  return order.empty() ? kNan : order.back().first;  // the sums may differ by rounding
}

double abs_max(std::span<const LossRow> rows) {
  double largest = kNan;
  for (const LossRow& row : rows) {
    const double value = std::abs(row.log_ratio());
    if (std::isnan(value)) return kNan;
    largest = std::fmax(largest, value);
  }
  return largest;
}

struct PairMeans {
  Mean accuracy;
  Mean margin;  // of the rewards
};

PairMeans pair_means(std::span<const LossRow> rows, const Objective& objective) {
  PairMeans means;
  for (const LossRow& row : rows) {
    if (!row.chosen || row.partner < 0) continue;
    const double margin = objective.reward(row) - objective.reward(rows[static_cast<size_t>(row.partner)]);
    means.accuracy.add(std::isnan(margin) ? kNan : margin > 0, row.weight);
    means.margin.add(margin, row.weight);
  }
  return means;
}

// Share of the unpreferred rows whose log-ratio is above `threshold`, or at it when `inclusive`.
double rejected_share(std::span<const LossRow> rows, double threshold, bool inclusive) {
  return class_mean(rows, false, [=](const LossRow& row) {
    const double l = row.log_ratio();
    if (std::isnan(l) || std::isnan(threshold)) return kNan;
    return l > threshold || (inclusive && l == threshold) ? 1.0 : 0.0;
  });
}

}  // namespace

Metrics preference_metrics(std::span<const LossRow> given, const Objective& objective,
                           const BatchCounts& counts, double loss) {
  std::vector<LossRow> rows(given.begin(), given.end());
  // Without a reference no log-ratio is known, nor anything made of one.
  if (!objective.reads_reference()) {
    for (LossRow& row : rows) row.ref_logp = kNan;
  }
  const PairMeans pairs = pair_means(given, objective);
  const auto reward = [&](const LossRow& row) { return objective.reward(row); };
  const double chosen_reward = class_mean(given, true, reward);
  const double rejected_reward = class_mean(given, false, reward);
  const double margin = pairs.margin.weight > 0 ? pairs.margin.value() : chosen_reward - rejected_reward;
  const auto logp = [](const LossRow& row) { return row.logp; };
  Metrics metrics = {
      {"loss", loss},
      {"rewards/chosen", chosen_reward},
      {"rewards/rejected", rejected_reward},
      {"rewards/accuracies", pairs.accuracy.value()},
      {"rewards/margins", margin},
      {"logps/chosen", class_mean(rows, true, logp)},
      {"logps/rejected", class_mean(rows, false, logp)},
      {"log_ratio/chosen", class_mean(rows, true, log_ratio)},
      {"log_ratio/rejected", class_mean(rows, false, log_ratio)},
      {"log_ratio/abs_max", abs_max(rows)},
      {"log_ratio/chosen_p10", log_ratio_percentile(rows, true, 10)},
      {"log_ratio/chosen_p50", log_ratio_percentile(rows, true, 50)},
      {"log_ratio/chosen_p90", log_ratio_percentile(rows, true, 90)},
      {"log_ratio/rejected_p10", log_ratio_percentile(rows, false, 10)},
      {"log_ratio/rejected_p50", log_ratio_percentile(rows, false, 50)},
      {"log_ratio/rejected_p90", log_ratio_percentile(rows, false, 90)},
      {"ratio/auc", auc(rows)},
      {"ratio/saturated", rejected_share(rows, -std::log(objective.alpha()), true)},
      {"ratio/capped", rejected_share(rows, objective.cap_log_ratio(counts), false)},
      {"ratio/chosen_mean", ratio_mean(rows, true)},
      {"ratio/rejected_mean", ratio_mean(rows, false)},
  };
  if (objective.needs_mismatched()) metrics.emplace_back("kl", counts.kl);
  return metrics;
}

}  // namespace ddro::losses
