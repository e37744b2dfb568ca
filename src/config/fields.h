// Every key of a run's configuration, listed once: name, member, help; and the names of every enumerator.
// Reading, the messages about unknown keys, the dump and its help all visit this list.
#pragma once

#include <array>
#include <string_view>

#include "ddro/config/run_config.h"

namespace ddro::config {

template <typename Enum>
struct EnumName {
  std::string_view name;
  Enum value;
};

// EnumNames<E>::kNames; of several names of one value, the first is the one that is written.
template <typename Enum>
struct EnumNames;

template <>
struct EnumNames<models::ComputeDType> {
  using E = models::ComputeDType;
  static constexpr std::array<EnumName<E>, 4> kNames = {
      {{"auto", E::kAuto}, {"float32", E::kFloat32}, {"bfloat16", E::kBFloat16}, {"float64", E::kFloat64}}};
};
template <>
struct EnumNames<data::OnOverlength> {
  using E = data::OnOverlength;
  static constexpr std::array<EnumName<E>, 3> kNames = {
      {{"error", E::kError}, {"drop", E::kDrop}, {"truncate", E::kTruncate}}};
};
template <>
struct EnumNames<data::OnBadRow> {
  using E = data::OnBadRow;
  static constexpr std::array<EnumName<E>, 2> kNames = {{{"error", E::kError}, {"drop", E::kDrop}}};
};
template <>
struct EnumNames<losses::Generator> {
  using E = losses::Generator;
  static constexpr std::array<EnumName<E>, 4> kNames = {
      {{"logistic", E::kLogistic}, {"kl", E::kKl}, {"lsif", E::kLsif}, {"basu", E::kBasu}}};
};
template <>
struct EnumNames<losses::Stabilizer> {
  using E = losses::Stabilizer;
  static constexpr std::array<EnumName<E>, 3> kNames = {
      {{"cap", E::kCap}, {"nnbd", E::kNnbd}, {"none", E::kNone}}};
};
template <>
struct EnumNames<losses::ClassReduction> {
  using E = losses::ClassReduction;
  static constexpr std::array<EnumName<E>, 2> kNames = {
      {{"class_mean", E::kClassMean}, {"pooled", E::kPooled}}};
};
template <>
struct EnumNames<losses::FDivergence> {
  using E = losses::FDivergence;
  static constexpr std::array<EnumName<E>, 4> kNames = {{{"reverse_kl", E::kReverseKl},
                                                         {"forward_kl", E::kForwardKl},
                                                         {"js_divergence", E::kJsDivergence},
                                                         {"alpha_divergence", E::kAlphaDivergence}}};
};
template <>
struct EnumNames<train::Schedule> {
  using E = train::Schedule;
  static constexpr std::array<EnumName<E>, 5> kNames = {{{"constant", E::kConstant},
                                                         {"constant_with_warmup", E::kConstantWithWarmup},
                                                         {"linear", E::kLinear},
                                                         {"cosine", E::kCosine},
                                                         {"cosine_with_min_lr", E::kCosineWithMinLr}}};
};
template <>
struct EnumNames<train::MomentDType> {
  using E = train::MomentDType;
  static constexpr std::array<EnumName<E>, 3> kNames = {
      {{"float32", E::kFloat32}, {"bfloat16", E::kBFloat16}, {"float8", E::kFloat8}}};
};
template <>
struct EnumNames<train::EvalStrategy> {
  using E = train::EvalStrategy;
  static constexpr std::array<EnumName<E>, 3> kNames = {
      {{"no", E::kNo}, {"steps", E::kSteps}, {"epoch", E::kEpoch}}};
};
template <>
struct EnumNames<train::Backend> {
  using E = train::Backend;
  static constexpr std::array<EnumName<E>, 2> kNames = {{{"auto", E::kAuto}, {"none", E::kNone}}};
};

// Calls visitor.section(name, options, body) for each section, where body(options, field) calls
// field(key, member, help) for each of its keys. `Config` is RunConfig or const RunConfig.
template <typename Config, typename Visitor>
void visit_fields(Config& config, Visitor& visitor) {
  visitor.section("model", config.model, [](auto& o, auto& field) {
    field("model_name_or_path", o.model_name_or_path,
          "a Hugging Face folder, or org/name in its local cache");
    field("dtype", o.dtype,
          "auto | float32 | bfloat16 | float64; auto: bfloat16 where it is native, with float32 masters");
    field("gradient_checkpointing", o.gradient_checkpointing,
          "recompute activations in the backward: less memory, slower");
  });
  visitor.section("reference", config.reference, [](auto& o, auto& field) {
    field("model_name_or_path", o.model_name_or_path, "null: the policy's starting weights");
    field("precompute_ref_log_probs", o.precompute_ref_log_probs,
          "true: its log-probabilities are computed once, before training; false: it stays in memory");
    field("ref_cache_dir", o.ref_cache_dir, "folder that keeps them; null: <train.output_dir>/ref_cache");
  });
  visitor.section("data", config.data, [](auto& o, auto& field) {
    field("train_files", o.train_files, "list of .jsonl files or globs; their order is part of the run");
    field("eval_files", o.eval_files, "name: file or glob");
    field("max_length", o.max_length, "tokens of prompt + completion");
    field("on_overlength", o.on_overlength, "error | drop | truncate (keeps the start of the completion)");
    field("on_bad_row", o.on_bad_row, "error | drop");
    field("parse_control_tokens", o.parse_control_tokens,
          "true: control-token text inside a row becomes control tokens, as Hugging Face does");
    field("chat_template", o.chat_template, "file with a Jinja template; null: the model folder's own");
    field("token_cache_dir", o.token_cache_dir,
          "folder that keeps the tokens of large sets; null: <train.output_dir>/token_cache");
  });
  visitor.section("objective", config.objective, [](auto& o, auto& field) {
    field("loss_type", o.loss_type,
          "ddro | rdro | sigmoid (= dpo) | ipo | simpo | orpo | kto | sft | ... (docs/objectives.md); a "
          "list: added up");
    field("loss_weights", o.loss_weights, "of several losses, in their order; empty: 1 each");
    field("alpha", o.alpha,
          "mixture weight of preferred data, in (0, 1); auto: n+/(n+ + n-) of the training rows");
    field("generator", o.generator, "logistic | kl | lsif | basu (ddro)");
    field("basu_power", o.basu_power, "power b > 0 of the basu generator");
    field("stabilizer", o.stabilizer, "cap | nnbd | none (ddro)");
    field("max_weight", o.max_weight,
          "cap on an unpreferred row's weight, above alpha/(1 - alpha): bias against variance; auto: 10, and "
          "more as rows are seen");
    field("class_reduction", o.class_reduction, "class_mean | pooled (ddro, rdro)");
    field("beta", o.beta, "inverse temperature (all but ddro, rdro, sft)");
    field("label_smoothing", o.label_smoothing,
          "assumed share of swapped labels, below 0.5 (sigmoid, robust, exo_pair, simpo, cpo)");
    field("f_divergence_type", o.f_divergence_type,
          "reverse_kl | forward_kl | js_divergence | alpha_divergence (sigmoid)");
    field("f_alpha_divergence_coef", o.f_alpha_divergence_coef, "of alpha_divergence; not 1");
    field("discopop_tau", o.discopop_tau, "temperature of the mixing weight (discopop)");
    field("simpo_gamma", o.simpo_gamma, "margin that a pair should have (simpo)");
    field("cpo_alpha", o.cpo_alpha,
          "weight of the likelihood term (simpo, cpo); auto: 0 for simpo, 1 for cpo");
    field("desirable_weight", o.desirable_weight, "of preferred rows (kto, apo_zero_unpaired)");
    field("undesirable_weight", o.undesirable_weight, "of unpreferred rows (kto, apo_zero_unpaired)");
  });
  visitor.section("train", config.train, [](auto& o, auto& field) {
    field("output_dir", o.output_dir, "folder of everything the run leaves");
    field("train_batch_size", o.train_batch_size,
          "examples (pairs or rows) an optimizer step, over all micro-batches");
    field("micro_batch_tokens", o.micro_batch_tokens, "memory knob: changes nothing but memory and speed");
    field("num_train_epochs", o.num_train_epochs, "passes over the training rows");
    field("max_steps", o.max_steps, "optimizer steps; -1: num_train_epochs decide");
    field("seed", o.seed, "of the order of the rows, and of the answers sampled at evaluations");
  });
  visitor.section("optimizer", config.optimizer, [](auto& o, auto& field) {
    field("learning_rate", o.learning_rate, "highest learning rate of AdamW");
    field("lr_scheduler_type", o.lr_scheduler_type,
          "constant | constant_with_warmup | linear | cosine | cosine_with_min_lr");
    field("warmup_ratio", o.warmup_ratio, "share of all steps; used when warmup_steps is 0");
    field("warmup_steps", o.warmup_steps, "optimizer steps");
    field("min_lr_ratio", o.min_lr_ratio, "cosine_with_min_lr: the last learning rate over the highest");
    field("weight_decay", o.weight_decay, "not applied to norms and biases");
    field("adam_beta1", o.adam_beta1, "decay of the gradient's mean");
    field("adam_beta2", o.adam_beta2, "decay of the gradient's square");
    field("adam_epsilon", o.adam_epsilon, "added to the root of the square");
    field("max_grad_norm", o.max_grad_norm, "gradients are scaled down to this norm; 0: no clipping");
    field("moment_dtype", o.moment_dtype,
          "float32 | bfloat16 | float8 (8 bits a number): what AdamW's two moments are kept in");
  });
  visitor.section("eval", config.eval, [](auto& o, auto& field) {
    field("eval_strategy", o.eval_strategy, "no | steps | epoch");
    field("eval_steps", o.eval_steps, "optimizer steps between evaluations");
    field("eval_on_start", o.eval_on_start, "evaluate before the first step");
    field("prompts", o.prompts,
          ".jsonl file or glob of prompts; each evaluation samples answers to them; null: none");
    field("num_prompts", o.num_prompts, "of the file at most so many, the first ones");
    field("num_samples", o.samples.num_samples, "answers to each prompt");
    field("max_new_tokens", o.samples.max_new_tokens, "most tokens of an answer");
    field("temperature", o.samples.sampling.temperature, "0: the most probable token each time");
    field("top_k", o.samples.sampling.top_k, "sample from so many most probable tokens; 0: from all");
    field("top_p", o.samples.sampling.top_p, "sample from the most probable tokens up to this share");
  });
  visitor.section("checkpoint", config.checkpoint, [](auto& o, auto& field) {
    field("save_steps", o.save_steps, "optimizer steps between checkpoints");
    field("save_total_limit", o.save_total_limit, "newest checkpoints kept");
    field("save_before_timeout_s", o.save_before_timeout_s,
          "save and leave this long before the job's time limit");
  });
  visitor.section("logging", config.logging, [](auto& o, auto& field) {
    field("logging_steps", o.logging_steps, "optimizer steps between lines of the log");
    field("report_to", o.report_to, "list of metric sinks: jsonl (always), tensorboard");
  });
  visitor.section("distributed", config.distributed,
                  [](auto& o, auto& field) { field("backend", o.backend, "auto | none"); });
}

}  // namespace ddro::config
