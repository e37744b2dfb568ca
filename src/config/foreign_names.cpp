#include "config/foreign_names.h"

#include <algorithm>
#include <vector>

#include "ddro/base/error.h"

namespace ddro::config {
namespace {

struct KeyAdvice {
  std::vector<std::string_view> keys;
  const char* advice;
};

const std::vector<KeyAdvice>& key_advice() {
  static const std::vector<KeyAdvice> table = {
      {{"per_device_train_batch_size", "gradient_accumulation_steps", "batch_size", "micro_batch_size",
        "train_global_batch_size", "train_micro_batch_size", "global_batch_size", "effective_batch_size"},
       "write train.train_batch_size (examples an optimizer step) and train.micro_batch_tokens (memory)"},
      {{"per_device_eval_batch_size", "eval_batch_size", "precompute_ref_batch_size", "padding_free",
        "packing", "pad_to_multiple_of", "group_by_length", "sample_packing", "dpo_padding_free",
        "neat_packing"},
       "batches are always packed without padding; train.micro_batch_tokens bounds their memory"},
      {{"num_epochs", "epochs", "max_num_epochs"}, "write train.num_train_epochs"},
      {{"max_num_steps", "total_steps", "num_steps", "max_train_steps"}, "write train.max_steps"},
      {{"lr", "learning_rate_max"}, "write optimizer.learning_rate"},
      {{"lr_scheduler", "scheduler", "schedule"}, "write optimizer.lr_scheduler_type"},
      {{"min_lr", "min_lr_rate", "min_lr_ratio", "cosine_min_lr_ratio"},
       "write optimizer.lr_scheduler_kwargs: {min_lr_rate: 0.1}, with lr_scheduler_type: cosine_with_min_lr"},
      {{"lr_warmup_ratio", "warmup"}, "write optimizer.warmup_ratio or optimizer.warmup_steps"},
      {{"wd"}, "write optimizer.weight_decay"},
      {{"betas", "adam_betas"}, "write optimizer.adam_beta1 and optimizer.adam_beta2"},
      {{"eps", "adam_eps"}, "write optimizer.adam_epsilon"},
      {{"exp_avg_dtype", "exp_avg_sq_dtype", "optim_bits", "moments_dtype", "state_dtype", "optim_dtype"},
       "write optimizer.moment_dtype: float32 | bfloat16 | float8"},
      {{"max_norm", "clip_grad_norm", "gradient_clipping", "max_gradient_norm"},
       "write optimizer.max_grad_norm"},
      {{"optimizer_type", "optimizer_name"},
       "write optimizer.optim: adamw | sgd | lion | adafactor | muon; optimizer.moment_dtype: float8 keeps "
       "moments in 8 bits"},
      {{"optim_args"}, "write the optimizer's own keys: optimizer.adam_beta1, optimizer.momentum, ..."},
      {{"bf16", "fp16", "tf32", "fp32", "torch_dtype", "precision", "pure_bf16", "mixed_precision",
        "float16"},
       "write model.dtype: auto | float32 | bfloat16 | float64"},
      {{"model", "base_model", "model_name", "model_path", "path", "name_or_path",
        "pretrained_model_name_or_path"},
       "write model.model_name_or_path"},
      {{"ref_model", "reference_model", "ref_model_name_or_path", "reference_model_name_or_path"},
       "write reference.model_name_or_path"},
      {{"precompute_ref_logps"}, "write reference.precompute_ref_log_probs"},
      {{"cache_logprobs_only", "ref_model_init_kwargs", "sync_ref_model", "ref_model_mixup_alpha",
        "ref_model_sync_steps", "reference_free", "force_use_ref_model"},
       "not built yet: the reference is a fixed model"},
      {{"trust_remote_code", "attn_implementation", "flash_attention", "flash_attn", "flash_attn_2",
        "sdp_attention", "model_init_kwargs", "model_revision", "use_liger_kernel", "use_liger_loss",
        "dpo_use_liger_kernel", "torch_compile", "compile_model", "use_cache", "use_logits_to_keep",
        "activation_offloading", "disable_dropout"},
       "is not available; leave it out"},
      {{"use_peft", "finetuning_type", "peft_config", "lora", "peft"},
       "write adapter: {adapter_type: lora, r: 16, lora_alpha: 32}"},
      {{"use_dora"}, "write adapter.adapter_type: dora"},
      {{"lora_r", "lora_rank", "rank"}, "write adapter.r"},
      {{"lora_target", "lora_target_modules", "lora_target_linear"},
       "write adapter.target_modules: all-linear, or a list of names"},
      {{"lora_modules_to_save", "additional_target"}, "write adapter.modules_to_save"},
      {{"lora_model_dir", "create_new_adapter"},
       "write adapter.adapter_name_or_path: FOLDER, to go on from an adapter"},
      {{"lora_dropout"}, "adapters are trained without dropout; leave it out"},
      {{"model_adapter_name", "ref_adapter_name", "ref_model_adapters"},
       "is not needed: the reference is the base with the adapter off, or with the one that the run starts "
       "from"},
      {{"load_in_8bit", "load_in_4bit", "bnb_4bit_quant_type", "quantization_bit",
        "ref_model_quantization_bit"},
       "quantised weights are not built yet"},
      {{"dataset", "datasets", "dataset_name", "dataset_config", "dataset_dir", "dataset_train_split",
        "data_files", "train_file", "train_data", "data_path", "training_file", "mixer_list"},
       "write data.train_files: [FILE.jsonl, ...]"},
      {{"eval_dataset", "test_datasets", "eval_file", "validation_file", "dataset_test_split", "val_files"},
       "write data.eval_files: {NAME: FILE.jsonl}"},
      {{"val_size", "val_set_size", "test_split_size"},
       "no rows are split off; write data.eval_files: {NAME: FILE.jsonl}"},
      {{"cutoff_len", "sequence_len", "max_seq_length", "max_seq_len", "max_len", "max_total_sequence_length",
        "max_prompt_length", "max_completion_length", "max_target_length"},
       "write data.max_length (tokens of prompt + completion)"},
      {{"truncation_mode", "excess_length_strategy"}, "write data.on_overlength: error | drop | truncate"},
      {{"template", "chat_template_path", "chat_template_jinja"}, "write data.chat_template: FILE"},
      {{"dataset_num_proc", "preprocessing_num_workers", "dataloader_num_workers", "dataset_prepared_path",
        "overwrite_cache", "tokenized_path", "dataset_streaming", "max_samples", "dataset_processes",
        "remove_unused_columns", "label_pad_token_id", "dataloader_drop_last", "train_sampling_strategy"},
       "is not available: rows are read and encoded at the start of a run"},
      {{"rl", "pref_loss", "dpo_loss_type", "loss", "stage", "objective_type", "trainer"},
       "write objective.loss_type: ddro | rdro | sigmoid | ..."},
      {{"pref_beta", "rl_beta", "reference_policy_kl_penalty"}, "write objective.beta"},
      {{"dpo_label_smoothing"}, "write objective.label_smoothing"},
      {{"dpo_loss_weights"}, "write objective.loss_weights"},
      {{"kto_desirable_weight", "kto_chosen_weight"}, "write objective.desirable_weight"},
      {{"kto_undesirable_weight", "kto_rejected_weight"}, "write objective.undesirable_weight"},
      {{"gamma_beta_ratio"}, "write objective.simpo_gamma: beta times the ratio"},
      {{"orpo_alpha"}, "write objective.beta (loss_type orpo)"},
      {{"rpo_alpha", "pref_ftx", "sft_loss_weight"},
       "write objective.loss_type: [sigmoid, sft] and objective.loss_weights"},
      {{"pref_bco_weight"}, "write objective.loss_type: [sigmoid, bco_pair] and objective.loss_weights"},
      {{"preference_loss_weight"}, "write objective.loss_weights"},
      {{"ld_alpha", "use_weighting", "dpo_use_weighting", "min_density_ratio", "max_density_ratio",
        "prompt_sample_size", "router_aux_loss_coef"},
       "is not built yet: no loss here has it"},
      {{"evaluation_strategy", "do_eval", "eval_at_start", "val_at_start"},
       "write eval.eval_strategy: no | steps | epoch"},
      {{"val_period", "evals_per_epoch", "eval_delay"}, "write eval.eval_steps"},
      {{"generate_during_eval", "generate_samples", "predict_with_generate", "log_completions",
        "eval_table_size"},
       "write eval.prompts: FILE.jsonl"},
      {{"eval_max_new_tokens", "generation_max_new_tokens", "generation_max_length"},
       "write eval.max_new_tokens"},
      {{"num_generation_samples", "num_completions_to_print"}, "write eval.num_prompts"},
      {{"saves_per_epoch", "save_period", "checkpointing_steps"},
       "write checkpoint.save_strategy: no | steps | epoch, and checkpoint.save_steps"},
      {{"keep_top_k", "keep_latest_k"}, "write checkpoint.save_total_limit"},
      {{"async_mode", "async_checkpoint"}, "write checkpoint.async_save: true | false"},
      {{"save_only_model"}, "is not built yet"},
      {{"load_best_model_at_end", "metric_name", "save_best_model"},
       "write eval.metric_for_best_model: loss; the best weights lie in best/ beside final/"},
      {{"early_stopping_steps", "early_stopping", "patience"}, "write eval.early_stopping_patience"},
      {{"checkpoint_must_save_by", "enable_jit_checkpoint"}, "write checkpoint.save_before_timeout_s"},
      {{"resume_from_checkpoint", "auto_resume_from_checkpoints", "ignore_data_skip", "overwrite_output_dir"},
       "resuming is an option of the command: --resume auto|never|DIR"},
      {{"log_steps", "logging_strategy", "logging_first_step", "log_interval"},
       "write logging.logging_steps"},
      {{"tensorboard", "use_tensorboard"}, "write logging.report_to: [jsonl, tensorboard]"},
      {{"logging_dir"}, "TensorBoard's event files lie in train.output_dir"},
      {{"wandb", "wandb_project", "use_wandb", "run_name"},
       "leave it out: wandb sync --sync-tensorboard uploads train.output_dir (docs/report.md)"},
      {{"plot_loss"}, "ddro-train report draws the losses of train.output_dir"},
      {{"push_to_hub", "hub_model_id"}, "is not built yet: final/ in train.output_dir can be uploaded"},
      {{"out_dir", "output", "output_path", "save_dir"}, "write train.output_dir"},
      {{"data_seed"}, "write train.seed"},
      {{"deterministic"}, "write train.full_determinism"},
      {{"ddp_timeout"}, "write distributed.timeout_s"},
      {{"ddp_backend"}, "write distributed.backend"},
      {{"world_size", "local_rank", "num_gpus", "num_processes"},
       "what starts the ranks says it: --nproc N, srun or torchrun"},
      {{"shard", "sharding_strategy", "deepspeed", "fsdp", "zero_stage"},
       "write distributed.shard: none | optimizer (masters and moments in parts, as ZeRO 1) | full (weights "
       "and "
       "gradients too, as ZeRO 3)"},
      {{"fsdp_config", "fsdp_transformer_layer_cls_to_wrap"},
       "leave it out: distributed.shard full gathers weights layer by layer"},
      {{"tensor_parallel_degree", "pipeline_parallel_degree", "context_parallel_degree"},
       "is not built yet: every rank computes whole layers; leave it out"},
  };
  return table;
}

struct UnbuiltValues {
  std::string_view key;
  std::vector<std::string_view> values;
  const char* advice = "";
};

const std::vector<UnbuiltValues>& unbuilt_values() {
  static const std::vector<UnbuiltValues> table = {
      {"objective.loss_type", {"aot", "aot_pair", "aot_unpaired", "alphapo"}},
      {"logging.report_to",
       {"wandb"},
       "; write tensorboard, whose files wandb sync --sync-tensorboard uploads (docs/report.md)"},
      {"logging.report_to", {"comet_ml", "clearml", "neptune", "trackio", "swanlab", "all"}},
      {"optimizer.lr_scheduler_type", {"reduce_lr_on_plateau", "greedy"}},
      {"optimizer.optim", {"adagrad", "rmsprop"}},
      {"optimizer.optim",
       {"adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit"},
       "; write adamw with optimizer.moment_dtype: float8"},
      {"optimizer.optim",
       {"lion_8bit", "paged_lion_8bit"},
       "; write lion with optimizer.moment_dtype: float8"},
      {"distributed.backend", {"mpi"}},
      {"distributed.shard", {"gradients"}},
      {"model.dtype", {"float16", "fp16", "float8", "fp8", "int8"}},
  };
  return table;
}

}  // namespace

std::optional<std::string> advice_for_key(std::string_view key) {
  for (const KeyAdvice& row : key_advice()) {
    if (std::find(row.keys.begin(), row.keys.end(), key) != row.keys.end()) return row.advice;
  }
  return std::nullopt;
}

std::optional<std::string> unbuilt_value(std::string_view key, std::string_view value) {
  for (const UnbuiltValues& row : unbuilt_values()) {
    if (row.key == key && std::find(row.values.begin(), row.values.end(), value) != row.values.end()) {
      return std::string(value) + " is not built yet" + row.advice;
    }
  }
  return std::nullopt;
}

}  // namespace ddro::config
