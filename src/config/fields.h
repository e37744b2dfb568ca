// Every key of a run's configuration, listed once: name, member, what a change of it means, help. Reading,
// the messages about unknown keys, the dump, its help and the comparison of runs all visit this list.
#pragma once

#include "ddro/config/on_change.h"
#include "ddro/config/run_config.h"

namespace ddro::config {

// Calls visitor.section(name, options, body) for each section, where body(options, field) calls
// field(key, member, on_change, help) for each of its keys. `Config` is RunConfig or const RunConfig.
template <typename Config, typename Visitor>
void visit_fields(Config& config, Visitor& visitor) {
  visitor.section("model", config.model, [](auto& o, auto& field) {
    field("model_name_or_path", o.model_name_or_path, OnChange::kResolved,
          "a Hugging Face folder, org/name in its local cache, or a .gguf file");
    field("eos_token", o.eos_token, OnChange::kResolved,
          "text of the token that ends a turn; null: the model folder's own");
    field("dtype", o.dtype, OnChange::kResolved,
          "auto | float32 | bfloat16 | float64; auto: bfloat16 on a GPU that has it, with float32 masters");
    field("base_dtype", o.base_dtype, OnChange::kNothing,
          "auto | stored; stored: an adapter's base stays in the shorter type of its files: less memory, "
          "slower");
    field("gradient_checkpointing", o.gradient_checkpointing, OnChange::kBits,
          "recompute activations in the backward: less memory, slower");
    field(
        "router_aux_loss_coef", o.router_aux_loss_coef, OnChange::kCourse,
        "of the loss that balances experts; auto: config.json's if its output_router_logits is true, else 0");
  });
  visitor.section("adapter", config.adapter, [](auto& o, auto& field) {
    field("adapter_type", o.adapter_type, OnChange::kResolved,
          "lora | dora: trained in place of the weights; null: all weights are trained");
    field("r", o.r, OnChange::kResolved, "rank of the factors");
    field("lora_alpha", o.lora_alpha, OnChange::kResolved, "their product counts lora_alpha / r times");
    field("target_modules", o.target_modules, OnChange::kResolved,
          "all-linear, or a list of names of linear layers: [q_proj, v_proj]");
    field("use_rslora", o.use_rslora, OnChange::kResolved, "true: lora_alpha / sqrt(r) times");
    field("modules_to_save", o.modules_to_save, OnChange::kResolved,
          "list of modules that are trained in full: embed_tokens, lm_head, ...");
    field("adapter_name_or_path", o.adapter_name_or_path, OnChange::kResolved,
          "a PEFT folder or a GGUF adapter to go on from; the keys above are then its own");
  });
  visitor.section("reference", config.reference, [](auto& o, auto& field) {
    field("model_name_or_path", o.model_name_or_path, OnChange::kResolved,
          "null: the policy's starting weights; with a new adapter that is the base without it");
    field("precompute_ref_log_probs", o.precompute_ref_log_probs, OnChange::kResolved,
          "true: its log-probabilities are computed once, before training; false: it stays in memory");
    field("ref_cache_dir", o.ref_cache_dir, OnChange::kNothing,
          "folder that keeps them; null: <train.output_dir>/ref_cache");
    field(
        "fit", o.fit, OnChange::kResolved,
        "num_train_epochs above 0: the starting weights first become the mixture of the rows, for rows that "
        "others wrote (docs/unpaired.md)");
  });
  visitor.section("data", config.data, [](auto& o, auto& field) {
    field("train_files", o.train_files, OnChange::kResolved,
          "list of .jsonl, .json (.gz, .zst), .parquet or .arrow files or globs, or {FILE: WEIGHT} for a "
          "mixture");
    field("eval_files", o.eval_files, OnChange::kNothing, "name: file or glob");
    field("layout", o.layout, OnChange::kMeaning,
          "auto | pairs | labels | ultrafeedback | hh | alpaca | question | sharegpt | messages "
          "(docs/data.md)");
    field("columns", o.columns, OnChange::kMeaning, "our name of a field: its name in the files");
    field("max_length", o.max_length, OnChange::kOrder, "tokens of prompt + completion");
    field("on_overlength", o.on_overlength, OnChange::kMeaning,
          "error | drop | truncate (keeps the start of the completion)");
    field("on_bad_row", o.on_bad_row, OnChange::kMeaning, "error | drop");
    field("parse_control_tokens", o.parse_control_tokens, OnChange::kMeaning,
          "true: control-token text inside a row becomes control tokens, as Hugging Face does");
    field("chat_template", o.chat_template, OnChange::kResolved,
          "file with a Jinja template; null: the model folder's own");
    field("chat_template_kwargs", o.chat_template_kwargs, OnChange::kMeaning,
          "variables of the template, such as {enable_thinking: false}; a row may have its own");
    field("token_cache_dir", o.token_cache_dir, OnChange::kNothing,
          "folder that keeps the tokens of large sets; null: <train.output_dir>/token_cache");
  });
  visitor.section("objective", config.objective, [](auto& o, auto& field) {
    field("loss_type", o.loss_type, OnChange::kResolved,
          "ddro | rdro | sigmoid (= dpo) | ipo | simpo | orpo | kto | sft | ... (docs/objectives.md); a "
          "list: added up");
    field("loss_weights", o.loss_weights, OnChange::kResolved,
          "of several losses, in their order; empty: 1 each");
    field("alpha", o.alpha, OnChange::kResolved,
          "mixture weight of preferred data, in (0, 1); auto: n+/(n+ + n-) of the training rows");
    field("generator", o.generator, OnChange::kResolved, "logistic | kl | lsif | basu (ddro)");
    field("basu_power", o.basu_power, OnChange::kResolved, "power b > 0 of the basu generator");
    field("stabilizer", o.stabilizer, OnChange::kResolved, "cap | ceiling | nnbd | none (ddro)");
    field("max_weight", o.max_weight, OnChange::kResolved,
          "cap on an unpreferred row's weight, above alpha/(1 - alpha): bias against variance; auto: 10, and "
          "more as rows are seen");
    field("class_reduction", o.class_reduction, OnChange::kResolved, "class_mean | pooled (ddro, rdro)");
    field("beta", o.beta, OnChange::kResolved, "inverse temperature (all but ddro, rdro, sft)");
    field("label_smoothing", o.label_smoothing, OnChange::kResolved,
          "assumed share of swapped labels, below 0.5 (sigmoid, robust, exo_pair, simpo, cpo)");
    field("f_divergence_type", o.f_divergence_type, OnChange::kResolved,
          "reverse_kl | forward_kl | js_divergence | alpha_divergence (sigmoid)");
    field("f_alpha_divergence_coef", o.f_alpha_divergence_coef, OnChange::kResolved,
          "of alpha_divergence; not 1");
    field("discopop_tau", o.discopop_tau, OnChange::kResolved, "temperature of the mixing weight (discopop)");
    field("simpo_gamma", o.simpo_gamma, OnChange::kResolved, "margin that a pair should have (simpo)");
    field("cpo_alpha", o.cpo_alpha, OnChange::kResolved,
          "weight of the likelihood term (simpo, cpo); auto: 0 for simpo, 1 for cpo");
    field("desirable_weight", o.desirable_weight, OnChange::kResolved,
          "of preferred rows (kto, apo_zero_unpaired)");
    field("undesirable_weight", o.undesirable_weight, OnChange::kResolved,
          "of unpreferred rows (kto, apo_zero_unpaired)");
  });
  visitor.section("train", config.train, [](auto& o, auto& field) {
    field("output_dir", o.output_dir, OnChange::kNothing, "folder of everything the run leaves");
    field("train_batch_size", o.train_batch_size, OnChange::kOrder,
          "examples (pairs or rows) an optimizer step, over all micro-batches");
    field("micro_batch_tokens", o.micro_batch_tokens, OnChange::kBits,
          "memory knob: changes nothing but memory and speed; auto: 2048 on the CPU, 8192 on a GPU");
    field("num_train_epochs", o.num_train_epochs, OnChange::kResolved, "passes over the training rows");
    field("max_steps", o.max_steps, OnChange::kResolved, "optimizer steps; -1: num_train_epochs decide");
    field("seed", o.seed, OnChange::kOrder,
          "of the order of the rows, and of the answers sampled at evaluations");
    field("full_determinism", o.full_determinism, OnChange::kBits,
          "the same bits each time on a GPU too, which is slower; on the CPU they always are");
    field("skip_spikes", o.skip_spikes, OnChange::kCourse,
          "true: a step whose loss or gradient norm is far above the usual is left out; false: it is told");
    field("replay_check_steps", o.replay_check_steps, OnChange::kNothing,
          "every so many steps one is computed twice and the bits compared: is the hardware sound? 0: never");
  });
  visitor.section("optimizer", config.optimizer, [](auto& o, auto& field) {
    field("learning_rate", o.learning_rate, OnChange::kCourse, "highest learning rate");
    field("lr_scheduler_type", o.lr_scheduler_type, OnChange::kCourse,
          "cosine | linear | polynomial | constant | warmup_stable_decay | ... (docs/configuration.md)");
    field("warmup_ratio", o.warmup_ratio, OnChange::kResolved,
          "share of all steps; used when warmup_steps is 0");
    field("warmup_steps", o.warmup_steps, OnChange::kResolved, "optimizer steps");
    field("lr_scheduler_kwargs", o.lr_scheduler_kwargs, OnChange::kCourse,
          "what the schedule takes beside its warm-up, as Hugging Face has it: {min_lr_rate: 0.1} "
          "(docs/configuration.md)");
    field("optim", o.optim, OnChange::kMeaning,
          "adamw | sgd | lion | adafactor | muon (docs/configuration.md)");
    field("momentum", o.momentum, OnChange::kCourse, "of sgd and muon; 0: none; auto: 0.9 and 0.95");
    field("nesterov", o.nesterov, OnChange::kCourse,
          "the momentum of sgd or muon looks ahead; null: muon's does");
    field("adjust_lr_fn", o.adjust_lr_fn, OnChange::kCourse,
          "of muon, how the rate follows a matrix's shape: match_rms_adamw | original");
    field("weight_decay", o.weight_decay, OnChange::kCourse, "not applied to norms and biases");
    field("adam_beta1", o.adam_beta1, OnChange::kCourse, "decay of the gradient's mean (adamw, muon, lion)");
    field("adam_beta2", o.adam_beta2, OnChange::kCourse,
          "decay of the gradient's square (adamw, muon), of the momentum (lion)");
    field("adam_epsilon", o.adam_epsilon, OnChange::kCourse, "added to the root of the square (adamw, muon)");
    field("max_grad_norm", o.max_grad_norm, OnChange::kCourse,
          "gradients are scaled down to this norm; 0: no clipping");
    field("moment_dtype", o.moment_dtype, OnChange::kBits,
          "float32 | bfloat16 | float8 (8 bits a number): what the optimizer's moments are kept in");
  });
  visitor.section("eval", config.eval, [](auto& o, auto& field) {
    field("eval_strategy", o.eval_strategy, OnChange::kNothing, "no | steps | epoch");
    field("eval_steps", o.eval_steps, OnChange::kNothing, "optimizer steps between evaluations");
    field("eval_on_start", o.eval_on_start, OnChange::kNothing, "evaluate before the first step");
    field("prompts", o.prompts, OnChange::kNothing,
          ".jsonl file or glob of prompts; each evaluation samples answers to them; null: none");
    field("num_prompts", o.num_prompts, OnChange::kNothing, "of the file at most so many, the first ones");
    field("num_samples", o.samples.num_samples, OnChange::kNothing, "answers to each prompt");
    field("max_new_tokens", o.samples.max_new_tokens, OnChange::kNothing, "most tokens of an answer");
    field("temperature", o.samples.sampling.temperature, OnChange::kNothing,
          "0: the most probable token each time");
    field("top_k", o.samples.sampling.top_k, OnChange::kNothing,
          "sample from so many most probable tokens; 0: from all");
    field("top_p", o.samples.sampling.top_p, OnChange::kNothing,
          "sample from the most probable tokens up to this share");
    field("metric_for_best_model", o.metric_for_best_model, OnChange::kNothing,
          "of an evaluation: loss, eval_held_out_ratio/auc, ...; the best weights by it go to best/; null: "
          "none");
    field("greater_is_better", o.greater_is_better, OnChange::kNothing,
          "of that metric; null: true unless its name ends in loss");
    field("early_stopping_patience", o.early_stopping_patience, OnChange::kNothing,
          "the run ends after so many evaluations in a row that are no better than the best; 0: it does not");
  });
  visitor.section("export", config.final_model, [](auto& o, auto& field) {
    field(
        "dtype", o.dtype, OnChange::kNothing,
        "auto | float32 | bfloat16 | float16: of final/; auto: what the run computes in, the model that was "
        "evaluated");
    field("adapter", o.adapter, OnChange::kNothing,
          "separate | merged: final/ is a PEFT folder, or a whole model with the adapter in its weights");
    field("gguf", o.gguf, OnChange::kNothing,
          "keep | float32 | bfloat16 | float16 | q8_0: final/ as final.gguf too, with matrices of that type; "
          "null: no such file");
  });
  visitor.section("checkpoint", config.checkpoint, [](auto& o, auto& field) {
    field("save_strategy", o.save_strategy, OnChange::kNothing,
          "no | steps | epoch; a run that is stopped, and each at its end, saves in any case");
    field("save_steps", o.save_steps, OnChange::kNothing, "optimizer steps between checkpoints");
    field("save_total_limit", o.save_total_limit, OnChange::kNothing, "newest checkpoints kept");
    field("save_before_timeout_s", o.save_before_timeout_s, OnChange::kNothing,
          "save and leave this long before the job's time limit");
    field("async_save", o.async_save, OnChange::kNothing,
          "write from a copy in memory while the next steps are computed; false: the steps wait");
    field("allow_world_writable", o.allow_world_writable, OnChange::kNothing,
          "true: go on from a checkpoint that every user of the machine could have changed");
  });
  visitor.section("logging", config.logging, [](auto& o, auto& field) {
    field("logging_steps", o.logging_steps, OnChange::kNothing, "optimizer steps between lines of the log");
    field("report_to", o.report_to, OnChange::kNothing,
          "list of metric sinks: jsonl (always), tensorboard, prometheus, mlflow");
  });
  visitor.section("distributed", config.distributed, [](auto& o, auto& field) {
    field(
        "backend", o.backend, OnChange::kBits,
        "auto | none | gloo | nccl, between several ranks; auto: nccl where each has a GPU, else gloo; none: "
        "one process");
    field("shard", o.shard, OnChange::kBits,
          "none | optimizer | full: what each of several ranks has a part of, and not all: nothing; masters "
          "and "
          "moments; weights and gradients too");
    field("timeout_s", o.timeout_s, OnChange::kNothing,
          "of several ranks: how long one may be silent before the others end");
  });
}

}  // namespace ddro::config
