#include "ddro/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ddro::train {
namespace {

// 1 -> 0 along half a cosine as `progress` goes 0 -> 1.
double half_cosine(double progress) {
  return std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * progress)));
}

}  // namespace

std::int64_t num_total_steps(const TrainOptions& options, std::int64_t steps_per_epoch) {
  if (options.max_steps > 0) return options.max_steps;
  return static_cast<std::int64_t>(
      std::ceil(options.num_train_epochs * static_cast<double>(steps_per_epoch)));
}

std::int64_t num_warmup_steps(const OptimizerOptions& options, std::int64_t total_steps) {
  if (options.lr_scheduler_type == Schedule::kConstant) return 0;
  if (options.warmup_steps > 0) return options.warmup_steps;
  return static_cast<std::int64_t>(std::ceil(options.warmup_ratio * static_cast<double>(total_steps)));
}

double learning_rate(const OptimizerOptions& options, std::int64_t steps_done, std::int64_t total_steps) {
  const std::int64_t warmup = num_warmup_steps(options, total_steps);
  if (steps_done < warmup) {
    return options.learning_rate * static_cast<double>(steps_done) /
           static_cast<double>(std::max<std::int64_t>(1, warmup));
  }
  const auto rest = static_cast<double>(std::max<std::int64_t>(1, total_steps - warmup));
  const double progress = static_cast<double>(steps_done - warmup) / rest;
  double factor = 1;
  switch (options.lr_scheduler_type) {
    case Schedule::kConstant:
    case Schedule::kConstantWithWarmup:
      break;
    case Schedule::kLinear:
      factor = std::max(0.0, static_cast<double>(total_steps - steps_done) / rest);
      break;
    case Schedule::kCosine:
      factor = half_cosine(progress);
      break;
    case Schedule::kCosineWithMinLr:
      factor = half_cosine(progress) * (1 - options.min_lr_ratio) + options.min_lr_ratio;
      break;
  }
  return options.learning_rate * factor;
}

}  // namespace ddro::train
