#include "ddro/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ddro/base/error.h"
#include "train/schedule_kwargs.h"

namespace ddro::train {
namespace {

// Where inverse_sqrt begins to fall without a warm-up.
constexpr double kInverseSqrtTimescale = 10'000;

struct Place {
  std::int64_t done = 0;  // steps
  std::int64_t warmup = 0;
  std::int64_t total = 0;

  double rest() const { return static_cast<double>(std::max<std::int64_t>(1, total - warmup)); }
  double progress() const { return static_cast<double>(done - warmup) / rest(); }  // behind the warm-up
};

// 1 -> 0 as `angle` goes 0 -> pi.
double wave(double angle) { return 0.5 * (1.0 + std::cos(angle)); }

double above(double factor, double lowest) { return factor * (1 - lowest) + lowest; }

double waves(const OptimizerOptions& options, double progress) {
  return wave(std::numbers::pi * number_kwarg(options, "num_cycles", 0.5) * 2 * progress);
}

double with_restarts(const OptimizerOptions& options, double progress) {
  if (progress >= 1) return 0;
  return wave(std::numbers::pi * std::fmod(number_kwarg(options, "num_cycles", 1) * progress, 1.0));
}

double polynomial(const OptimizerOptions& options, const Place& place) {
  const double end = number_kwarg(options, "lr_end", kPolynomialEnd);
  const double remaining =
      1 - static_cast<double>(place.done - place.warmup) / static_cast<double>(place.total - place.warmup);
  const double rate =
      (options.learning_rate - end) * std::pow(remaining, number_kwarg(options, "power", 1)) + end;
  return rate / options.learning_rate;
}

double inverse_sqrt(const Place& place) {
  const auto warmup = static_cast<double>(place.warmup);
  const double timescale = place.warmup > 0 ? warmup : kInverseSqrtTimescale;
  return 1 / std::sqrt((static_cast<double>(place.done) + timescale - warmup) / timescale);
}

double lowest_rate(const OptimizerOptions& options) {
  if (!options.lr_scheduler_kwargs.contains("min_lr")) return number_kwarg(options, "min_lr_rate", 0);
  return options.learning_rate > 0 ? number_kwarg(options, "min_lr", 0) / options.learning_rate : 0;
}

// One step ahead of cosine_with_min_lr, so that no step is made with a rate of 0.
double cosine_warmup_with_min_lr(const OptimizerOptions& options, const Place& place) {
  const auto done = static_cast<double>(place.done);
  const auto warmup = static_cast<double>(place.warmup);
  if (place.done >= place.warmup) {
    const double progress = (done - warmup + 1) / place.rest();
    return above(waves(options, progress), lowest_rate(options));
  }
  if (!options.lr_scheduler_kwargs.contains("warmup_lr_rate")) return (done + 1) / warmup;
  return above(done / std::max(1.0, warmup - 1), number_kwarg(options, "warmup_lr_rate", 0));
}

// 0 -> 1 as `x` goes 0 -> 1.
double rising(const std::string& type, double x) {
  if (type == "linear") return x;
  if (type == "cosine") return 0.5 * (1 - std::cos(std::numbers::pi * x));
  return 1 - std::sqrt(1 - x);
}

double falling(const OptimizerOptions& options, double x) {
  const std::string type = text_kwarg(options, "decay_type", "cosine");
  if (type == "linear") return 1 - x;
  if (type == "cosine") return waves(options, x);
  return 1 - std::sqrt(x);
}

std::int64_t decay_steps(const OptimizerOptions& options) {
  return static_cast<std::int64_t>(number_kwarg(options, "num_decay_steps", 0));
}

std::int64_t stable_steps(const OptimizerOptions& options, const Place& place) {
  const auto otherwise = static_cast<double>(place.total - place.warmup - decay_steps(options));
  return static_cast<std::int64_t>(number_kwarg(options, "num_stable_steps", otherwise));
}

double warmup_stable_decay(const OptimizerOptions& options, const Place& place) {
  const double lowest = number_kwarg(options, "min_lr_ratio", 0);
  const auto share = [](std::int64_t steps, std::int64_t of) {
    return static_cast<double>(steps) / static_cast<double>(std::max<std::int64_t>(1, of));
  };
  if (place.done < place.warmup) {
    const double x = share(place.done, place.warmup);
    return above(rising(text_kwarg(options, "warmup_type", "linear"), x), lowest);
  }
  const std::int64_t into_decay = place.done - place.warmup - stable_steps(options, place);
  if (into_decay < 0) return 1;
  if (into_decay >= decay_steps(options)) return lowest;
  return above(falling(options, share(into_decay, decay_steps(options))), lowest);
}

// Behind the warm-up; of those with one of their own, from the start.
double factor(const OptimizerOptions& options, const Place& place) {
  switch (options.lr_scheduler_type) {
    case Schedule::kConstant:
    case Schedule::kConstantWithWarmup:
      return 1;
    case Schedule::kLinear:
      return static_cast<double>(place.total - place.done) / place.rest();
    case Schedule::kCosine:
      return waves(options, place.progress());
    case Schedule::kCosineWithRestarts:
      return with_restarts(options, place.progress());
    case Schedule::kPolynomial:
      return polynomial(options, place);
    case Schedule::kInverseSqrt:
      return inverse_sqrt(place);
    case Schedule::kCosineWithMinLr:
      return above(waves(options, place.progress()), lowest_rate(options));
    case Schedule::kCosineWarmupWithMinLr:
      return cosine_warmup_with_min_lr(options, place);
    case Schedule::kWarmupStableDecay:
      return warmup_stable_decay(options, place);
  }
  return 1;
}

bool has_own_warmup(Schedule schedule) {
  return schedule == Schedule::kCosineWarmupWithMinLr || schedule == Schedule::kWarmupStableDecay;
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

void check_schedule(const OptimizerOptions& options, std::int64_t total_steps) {
  if (options.lr_scheduler_type != Schedule::kWarmupStableDecay) return;
  const Place place{.done = 0, .warmup = num_warmup_steps(options, total_steps), .total = total_steps};
  const std::int64_t stable = std::max<std::int64_t>(0, stable_steps(options, place));
  const std::int64_t all = place.warmup + stable + decay_steps(options);
  if (all <= total_steps) return;
  throw input_error(
      "[optimizer.lr_scheduler_kwargs] warm-up, stable and decay steps are more than the run has; got " +
      std::to_string(place.warmup) + " + " + std::to_string(stable) + " + " +
      std::to_string(decay_steps(options)) + ", expected at most " + std::to_string(total_steps));
}

double learning_rate(const OptimizerOptions& options, std::int64_t steps_done, std::int64_t total_steps) {
  const Place place{
      .done = steps_done, .warmup = num_warmup_steps(options, total_steps), .total = total_steps};
  if (steps_done < place.warmup && !has_own_warmup(options.lr_scheduler_type)) {
    return options.learning_rate * static_cast<double>(steps_done) / static_cast<double>(place.warmup);
  }
  return options.learning_rate * factor(options, place);
}

}  // namespace ddro::train
