#include "ddro/train/train_options.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>

#include "ddro/base/error.h"
#include "train/schedule_kwargs.h"

namespace ddro::train {
namespace {

constexpr std::int64_t kMaxCount = std::numeric_limits<std::int32_t>::max();

void require_count(const char* key, std::int64_t value, std::int64_t least = 1) {
  if (value >= least && value <= kMaxCount) return;
  throw option_error(key, std::to_string(value),
                     "an integer from " + std::to_string(least) + " to " + std::to_string(kMaxCount));
}

// Not-a-number fails every comparison, so `in_range` is false for it.
void require_number(const char* key, double value, bool in_range, const char* expected) {
  if (in_range && std::isfinite(value)) return;
  throw option_error(key, printable(value), expected);
}

}  // namespace

void TrainOptions::validate() const {
  if (output_dir.empty()) throw option_error("train.output_dir", "an empty text", "a folder");
  require_count("train.train_batch_size", train_batch_size);
  if (micro_batch_tokens) require_count("train.micro_batch_tokens", *micro_batch_tokens);
  require_number("train.num_train_epochs", num_train_epochs,
                 num_train_epochs > 0 && num_train_epochs <= kMaxCount, "a number above 0");
  if (max_steps != -1 && (max_steps < 1 || max_steps > kMaxCount)) {
    throw option_error("train.max_steps", std::to_string(max_steps),
                       "-1 (num_train_epochs decide) or an integer from 1 to " + std::to_string(kMaxCount));
  }
  require_count("train.replay_check_steps", replay_check_steps, 0);
  if (seed < 0) throw option_error("train.seed", std::to_string(seed), "an integer of at least 0");
}

bool needs_whole_tensors(Optim optim) { return optim == Optim::kAdafactor || optim == Optim::kMuon; }

void OptimizerOptions::validate() const {
  require_number("optimizer.learning_rate", learning_rate, learning_rate >= 0, "a number of at least 0");
  require_number("optimizer.warmup_ratio", warmup_ratio, warmup_ratio >= 0 && warmup_ratio <= 1,
                 "a number from 0 to 1");
  require_count("optimizer.warmup_steps", warmup_steps, 0);
  validate_schedule_kwargs(*this);
  require_number("optimizer.momentum", used_momentum(), used_momentum() >= 0 && used_momentum() < 1,
                 "a number from 0 to below 1, or auto");
  require_number("optimizer.weight_decay", weight_decay, weight_decay >= 0, "a number of at least 0");
  require_number("optimizer.adam_beta1", adam_beta1, adam_beta1 >= 0 && adam_beta1 < 1,
                 "a number from 0 to below 1");
  require_number("optimizer.adam_beta2", adam_beta2, adam_beta2 >= 0 && adam_beta2 < 1,
                 "a number from 0 to below 1");
  require_number("optimizer.adam_epsilon", adam_epsilon, adam_epsilon > 0, "a number above 0");
  require_number("optimizer.max_grad_norm", max_grad_norm, max_grad_norm >= 0,
                 "a number of at least 0 (0: no clipping)");
  validate_moments();
}

void OptimizerOptions::validate_moments() const {
  if (!needs_whole_tensors(optim) || moment_dtype == MomentDType::kFloat32) return;
  throw input_error(std::string("[optimizer.moment_dtype] ") + enum_name(optim) +
                    " keeps its moments in the weights' type; got " + enum_name(moment_dtype) +
                    ", expected float32");
}

void EvalOptions::validate() const {
  require_count("eval.eval_steps", eval_steps);
  require_count("eval.num_prompts", num_prompts);
  samples.validate("eval");
  validate_best();
  if (prompts && prompts->empty()) throw option_error("eval.prompts", "an empty text", "a file, or null");
  if (prompts && eval_strategy == IntervalStrategy::kNo) {
    throw input_error(
        "[eval.prompts] are sampled at evaluations, of which eval.eval_strategy no has none; got " +
        printable(*prompts) + ", expected null; or set eval.eval_strategy to steps or epoch");
  }
}

void EvalOptions::validate_best() const {
  require_count("eval.early_stopping_patience", early_stopping_patience, 0);
  if (!metric_for_best_model && early_stopping_patience > 0) {
    throw input_error(
        "[eval.early_stopping_patience] counts evaluations by eval.metric_for_best_model; got " +
        std::to_string(early_stopping_patience) +
        " and no metric, expected 0; or set eval.metric_for_best_model");
  }
  if (!metric_for_best_model) return;
  if (metric_for_best_model->empty())
    throw option_error("eval.metric_for_best_model", "an empty text", "a metric's name, or null");
  if (eval_strategy == IntervalStrategy::kNo) {
    throw input_error(
        "[eval.metric_for_best_model] compares evaluations, of which eval.eval_strategy no has none; got " +
        printable(*metric_for_best_model) + ", expected null; or set eval.eval_strategy to steps or epoch");
  }
}

void LoggingOptions::validate() const {
  constexpr std::array<std::string_view, 4> kSinks = {"jsonl", "tensorboard", "prometheus", "mlflow"};
  require_count("logging.logging_steps", logging_steps);
  for (auto sink = report_to.begin(); sink != report_to.end(); ++sink) {
    if (std::find(kSinks.begin(), kSinks.end(), *sink) == kSinks.end()) {
      throw input_error("[logging.report_to] unknown sink; got " + printable(*sink) +
                        ", expected jsonl, tensorboard, prometheus or mlflow");
    }
    if (std::find(report_to.begin(), sink, *sink) != sink) {
      throw input_error("[logging.report_to] names " + *sink + " twice");
    }
  }
  if (std::find(report_to.begin(), report_to.end(), "jsonl") == report_to.end()) {
    throw input_error(
        "[logging.report_to] leaves out jsonl; a resumed run reads in metrics.jsonl which evaluations are "
        "done; add jsonl");
  }
}

}  // namespace ddro::train
