// The `train`, `optimizer`, `eval` and `logging` sections of a run's configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ddro/base/enum_names.h"
#include "ddro/base/interval_strategy.h"
#include "ddro/base/json.h"
#include "ddro/generate/generate_options.h"

namespace ddro::train {

struct TrainOptions {
  std::string output_dir = "runs/quickstart";
  std::int64_t train_batch_size = 64;  // examples (pairs or rows) an optimizer step
  // Memory knob: changes nothing but memory and speed. nullopt: by the kind of device, see
  // micro_batch_tokens_on.
  std::optional<std::int64_t> micro_batch_tokens = std::nullopt;
  double num_train_epochs = 1;  // passes over the training rows; may end within one
  std::int64_t max_steps = -1;  // -1: num_train_epochs decide
  std::int64_t seed = 42;
  bool full_determinism = false;        // on a GPU as well
  bool skip_spikes = false;             // steps far above the usual change nothing
  std::int64_t replay_check_steps = 0;  // so often a step is computed twice and compared; 0: never

  // On the CPU larger micro-batches than 2048 take memory and gain no speed.
  std::int64_t micro_batch_tokens_on(bool cpu) const {
    return micro_batch_tokens.value_or(cpu ? 2048 : 8192);
  }
  void validate() const;  // Error(kInput) naming the dotted key
};

// What updates the weights.
enum class Optim { kAdamW, kSgd, kLion, kAdafactor, kMuon };

// Whether an update of one number depends on others of its tensor: such a tensor is updated in one place, and
// what is kept of it is not rounded.
bool needs_whole_tensors(Optim optim);

// How kMuon's rate follows the shape of a matrix of R rows and C columns, by torch.optim.Muon's names:
// sqrt(max(1, R / C)), or 0.2 sqrt(max(R, C)), with which an update is about as large as AdamW's.
enum class AdjustLr { kOriginal, kMatchRmsAdamW };

// What an optimizer's moments are stored in between steps; kFloat32: in the type of the master weights.
enum class MomentDType { kFloat32, kBFloat16, kFloat8 };

// Those of Hugging Face's SchedulerType that are a function of the step.
enum class Schedule {
  kLinear,
  kCosine,
  kCosineWithRestarts,
  kPolynomial,
  kConstant,
  kConstantWithWarmup,
  kInverseSqrt,
  kCosineWithMinLr,
  kCosineWarmupWithMinLr,
  kWarmupStableDecay
};

// The last rate of Schedule::kPolynomial, unless lr_end says another.
inline constexpr double kPolynomialEnd = 1e-7;

struct OptimizerOptions {
  double learning_rate = 1e-6;
  Schedule lr_scheduler_type = Schedule::kCosine;
  double warmup_ratio = 0.1;  // of all steps; used when warmup_steps is 0
  std::int64_t warmup_steps = 0;
  Json lr_scheduler_kwargs = Json::object();  // what the schedule takes beside its warm-up
  Optim optim = Optim::kAdamW;
  std::optional<double> momentum = std::nullopt;     // kSgd: nullopt is 0.9; kMuon: 0.95
  std::optional<bool> nesterov = std::nullopt;       // kSgd, with momentum: nullopt is false; kMuon: true
  AdjustLr adjust_lr_fn = AdjustLr::kMatchRmsAdamW;  // kMuon, whose other parameters have the same rate
  double weight_decay = 0.0;                         // not applied to norms and biases
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-8;
  double max_grad_norm = 1.0;  // 0: no clipping
  MomentDType moment_dtype = MomentDType::kFloat32;

  double used_momentum() const { return momentum.value_or(optim == Optim::kMuon ? 0.95 : 0.9); }
  bool used_nesterov() const { return nesterov.value_or(optim == Optim::kMuon); }
  void validate() const;

 private:
  void validate_moments() const;
};

struct EvalOptions {
  IntervalStrategy eval_strategy = IntervalStrategy::kSteps;
  std::int64_t eval_steps = 100;
  bool eval_on_start = true;
  std::optional<std::string> prompts;                // file or glob, sampled at each evaluation
  std::int64_t num_prompts = 8;                      // at most so many, the first ones
  generate::GenerateOptions samples;                 // all but the seed, which is train.seed
  std::optional<std::string> metric_for_best_model;  // which evaluation leaves best/
  std::optional<bool> greater_is_better;             // nullopt: unless the metric's name ends in loss
  std::int64_t early_stopping_patience = 0;  // evaluations without a better one that end the run; 0: none do

  void validate() const;

 private:
  void validate_best() const;
};

struct LoggingOptions {
  std::int64_t logging_steps = 1;
  std::vector<std::string> report_to = {"jsonl", "tensorboard"};  // jsonl is always among them

  void validate() const;
};

}  // namespace ddro::train

namespace ddro {

template <>
struct EnumNames<train::Schedule> {
  using E = train::Schedule;
  static constexpr std::array<EnumName<E>, 10> kNames = {
      {{"linear", E::kLinear},
       {"cosine", E::kCosine},
       {"cosine_with_restarts", E::kCosineWithRestarts},
       {"polynomial", E::kPolynomial},
       {"constant", E::kConstant},
       {"constant_with_warmup", E::kConstantWithWarmup},
       {"inverse_sqrt", E::kInverseSqrt},
       {"cosine_with_min_lr", E::kCosineWithMinLr},
       {"cosine_warmup_with_min_lr", E::kCosineWarmupWithMinLr},
       {"warmup_stable_decay", E::kWarmupStableDecay}}};
};

// Hugging Face's names, which say whose implementation it is, mean the same.
template <>
struct EnumNames<train::Optim> {
  using E = train::Optim;
  static constexpr std::array<EnumName<E>, 8> kNames = {{{"adamw", E::kAdamW},
                                                         {"sgd", E::kSgd},
                                                         {"lion", E::kLion},
                                                         {"adafactor", E::kAdafactor},
                                                         {"muon", E::kMuon},
                                                         {"adamw_torch", E::kAdamW},
                                                         {"adamw_torch_fused", E::kAdamW},
                                                         {"lion_32bit", E::kLion}}};
};

template <>
struct EnumNames<train::AdjustLr> {
  using E = train::AdjustLr;
  static constexpr std::array<EnumName<E>, 2> kNames = {
      {{"original", E::kOriginal}, {"match_rms_adamw", E::kMatchRmsAdamW}}};
};

template <>
struct EnumNames<train::MomentDType> {
  using E = train::MomentDType;
  static constexpr std::array<EnumName<E>, 3> kNames = {
      {{"float32", E::kFloat32}, {"bfloat16", E::kBFloat16}, {"float8", E::kFloat8}}};
};

}  // namespace ddro
