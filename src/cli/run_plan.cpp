#include "cli/run_plan.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "cli/run_reference.h"
#include "cli/summaries.h"
#include "cli/version.h"
#include "ddro/base/files.h"
#include "ddro/base/log.h"
#include "ddro/base/threads.h"
#include "ddro/data/packed_batch.h"
#include "ddro/data/sampler.h"
#include "ddro/train/memory_estimate.h"
#include "ddro/train/schedule.h"
#include "ddro/train/trainer.h"

namespace ddro::cli {
namespace {

constexpr double kMaxAlphaDistance = 0.05;

std::vector<std::int64_t> sequence_lengths(const data::Dataset& dataset) {
  std::vector<std::int64_t> lengths;
  for (const data::EncodedExample& example : dataset.examples) {
    for (const data::EncodedSequence& sequence : example.sequences) {
      lengths.push_back(static_cast<std::int64_t>(sequence.ids.size()));
    }
  }
  return lengths;
}

std::string dropped_reasons(const data::Dataset& dataset) {
  std::map<std::string, std::int64_t> counts;
  for (const data::DroppedRow& row : dataset.dropped) ++counts[row.reason];
  std::string text;
  for (const auto& [reason, count] : counts) text += "    " + std::to_string(count) + " x " + reason + "\n";
  return text;
}

std::string describe_set(const std::string& name, const data::Dataset& dataset) {
  return "  " + name + ": " + std::to_string(dataset.examples.size()) + " rows used, " +
         std::to_string(dataset.dropped.size()) + " dropped; preferred " +
         format("%g", dataset.class_weight(data::RowClass::kChosen)) + ", unpreferred " +
         format("%g", dataset.class_weight(data::RowClass::kRejected)) + "; sequence tokens " +
         percentiles(sequence_lengths(dataset)) + "\n" + dropped_reasons(dataset);
}

// Of an epoch's steps (the first hundred of a long one) the one with the largest micro-batch.
data::StepPlan largest_step(const config::RunConfig& config, const data::Dataset& dataset) {
  const data::StratifiedSampler sampler(dataset, config.train.train_batch_size,
                                        static_cast<std::uint64_t>(config.train.seed));
  const auto size = [](const data::StepPlan& plan) {
    size_t largest = 0;
    for (const data::PackedBatch& batch : plan.micro_batches) largest = std::max(largest, batch.ids_T.size());
    return largest;
  };
  data::StepPlan result;
  data::SamplerState at;
  for (; at.epoch == 0 && at.step_in_epoch < 100; at = sampler.next(at)) {
    data::StepPlan plan =
        data::plan_step(dataset, sampler.step(at), {.micro_batch_tokens = config.train.micro_batch_tokens});
    if (size(plan) > size(result)) result = std::move(plan);
  }
  return result;
}

std::string describe_memory(const config::RunConfig& config, const LoadedRun& run, bool live_reference) {
  train::MemoryModel model;
  model.config = run.base_model.config;
  model.num_parameters = num_parameters(run.base_model);
  model.dtype = run.dtype;
  model.moment_dtype = config.optimizer.moment_dtype;
  model.device = run.device;
  model.live_reference = live_reference;
  model.gradient_checkpointing = config.model.gradient_checkpointing;
  for (const auto& [name, tensor] : run.base_model.tensors)
    model.mapped_bytes += static_cast<double>(tensor.nbytes());
  const train::MemoryEstimate estimate = train::estimate_memory(model, largest_step(config, run.train_set));
  std::string text = "memory: " + gigabytes(estimate.peak()) + " at most: " + gigabytes(estimate.weights) +
                     " weights, gradients and moments" + (live_reference ? ", reference" : "") + ", " +
                     gigabytes(estimate.activations) + " activations, " + gigabytes(estimate.head) +
                     " logits";
  if (estimate.process > 0) text += ", " + gigabytes(estimate.process) + " libraries, data and heap";
  return text + "\n";
}

data::Dataset load_set(const std::string& name, const std::vector<std::string>& files,
                       const config::RunConfig& config, LoadedRun& run) {
  const std::string folder = config.data.token_cache_dir.value_or(
      (std::filesystem::path(config.train.output_dir) / "token_cache").string());
  data::LoadedSet set = data::load_dataset(files, config.data, run.text, run.now, {folder, version_text()});
  log_report(name, set.dataset);
  run.missing_tokens.push_back(std::move(set.missing));
  return std::move(set.dataset);
}

std::vector<data::Prompt> load_sample_prompts(const config::RunConfig& config, const text::ModelText& text,
                                              std::time_t now) {
  if (!config.eval.prompts) return {};
  std::vector<data::Prompt> prompts =
      data::load_prompts({*config.eval.prompts}, config.data, data::make_text_source(text, config.data, now));
  const auto most = static_cast<size_t>(config.eval.num_prompts);
  if (prompts.size() > most) prompts.resize(most);
  return prompts;
}

std::string describe_samples(const config::RunConfig& config, const LoadedRun& run) {
  if (run.prompts.empty()) return "";
  const train::EvalOptions& eval = config.eval;
  const bool in_steps = eval.eval_strategy == train::EvalStrategy::kSteps;
  return "samples: " + std::to_string(run.prompts.size()) + " prompts of " + *eval.prompts + ", " +
         std::to_string(eval.samples.num_samples) + " of each, at most " +
         std::to_string(eval.samples.max_new_tokens) + " tokens; " +
         (eval.eval_on_start ? "at the start, " : "") +
         (in_steps ? "every " + std::to_string(eval.eval_steps) + " steps" : "after every epoch") +
         " and at the end\n";
}

}  // namespace

Json read_run_record(const std::filesystem::path& output_dir) {
  const std::filesystem::path path = output_dir / "run.json";
  std::error_code ignored;
  return std::filesystem::exists(path, ignored) ? read_json_file(path.string(), ErrorKind::kModel)
                                                : Json(nullptr);
}

std::time_t fixed_template_date(const std::filesystem::path& output_dir) {
  const Json record = read_run_record(output_dir);
  if (record.is_object() && record.contains("template_date") && record["template_date"].is_number_integer()) {
    return record["template_date"].get<std::time_t>();
  }
  return std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
}

Json LoadedRun::reference_hash() const {
  if (!objective->reads_reference()) return nullptr;
  return reference_folder().weights_hash;
}

LoadedRun load_run(const config::RunConfig& config, std::time_t now) {
  LoadedRun run;
  run.now = now;
  run.device = default_device();
  run.dtype = compute_dtype(config.model.dtype, run.device);
  if (run.dtype == at::kDouble && config.optimizer.moment_dtype != train::MomentDType::kFloat32) {
    throw input_error(
        "[optimizer.moment_dtype] short moments are of float32 weights; model.dtype float64 keeps its own, "
        "expected float32 (the default)");
  }
  const auto model_path = models::resolve_model_path(config.model.model_name_or_path);
  run.text = text::load_model_text(model_path, config.data.chat_template);
  run.train_set = load_set("train", config.data.train_files, config, run);
  for (const auto& [name, files] : config.data.eval_files)
    run.eval_sets.emplace_back(name, load_set(name, {files}, config, run));
  run.prompts = load_sample_prompts(config, run.text, now);
  if (losses::needs_pairs(config.objective.loss_type) && run.train_set.kind != data::RowKind::kPaired) {
    throw input_error("[objective.loss_type] " + losses::loss_name(config.objective.loss_type) +
                      " needs pairs; data.train_files holds single completions; use ddro or rdro");
  }
  if (losses::needs_mismatched(config.objective.loss_type) && config.train.train_batch_size < 2) {
    throw input_error("[train.train_batch_size] " + losses::loss_name(config.objective.loss_type) +
                      " scores completions under the prompts of other examples of the step; got 1, expected "
                      "at least 2");
  }
  run.objective = losses::make_objective(config.objective, data_alpha(run.train_set));
  if (std::fabs(run.objective->alpha() - data_alpha(run.train_set)) > kMaxAlphaDistance) {
    log_warning("objective.alpha is " + format("%.3g", run.objective->alpha()) +
                ", the preferred share of the training rows is " + format("%.3g", data_alpha(run.train_set)));
  }
  run.base_model = models::open_model_folder(model_path);
  if (config.reference.model_name_or_path && losses::needs_reference(config.objective.loss_type)) {
    auto reference =
        models::open_model_folder(models::resolve_model_path(*config.reference.model_name_or_path));
    check_same_ids(reference.config, run.base_model.config);
    if (reference.weights_hash != run.base_model.weights_hash) run.reference_model = std::move(reference);
  }
  check_fits_model(run.train_set, run.base_model.config);
  for (const auto& [name, set] : run.eval_sets) check_fits_model(set, run.base_model.config);
  check_fits_model(run.prompts, run.base_model.config);

  const data::StratifiedSampler sampler(run.train_set, config.train.train_batch_size,
                                        static_cast<std::uint64_t>(config.train.seed));
  run.steps_per_epoch = sampler.steps_per_epoch();
  run.one_class_steps = sampler.one_class_steps();
  run.total_steps = train::num_total_steps(config.train, run.steps_per_epoch);
  if (run.one_class_steps > 0 && losses::uses_option(config.objective, "stabilizer") &&
      config.objective.stabilizer == losses::Stabilizer::kNnbd) {
    throw input_error("[objective.stabilizer] nnbd needs both classes in every step; " +
                      std::to_string(run.one_class_steps) + " of " + std::to_string(run.steps_per_epoch) +
                      " steps hold one class; raise train.train_batch_size");
  }
  if (run.one_class_steps > 0) {
    log_warning(std::to_string(run.one_class_steps) + " of " + std::to_string(run.steps_per_epoch) +
                " steps of an epoch hold one class only; a larger train.train_batch_size avoids that");
  }
  return run;
}

void write_missing_tokens(const LoadedRun& run) {
  for (size_t i = 0; i < run.missing_tokens.size(); ++i) {
    if (run.missing_tokens[i])
      data::write_token_cache(*run.missing_tokens[i], i == 0 ? run.train_set : run.eval_sets[i - 1].second);
  }
}

std::string describe_plan(const config::RunConfig& config, const LoadedRun& run) {
  const std::int64_t n = num_parameters(run.base_model);
  const bool no_reference = !run.objective->reads_reference();
  std::string text = "model: " + run.base_model.path.string() + ", " + run.base_model.config.model_type +
                     ", " + format("%.1f", static_cast<double>(n) / 1e6) + "M parameters, computes in " +
                     dtype_label(run.dtype) + " on " + (run.device.is_cuda() ? "cuda" : "cpu") + "\n";
  text += "threads: " + plan_threads().describe() + "\n";
  text += "reference: " +
          std::string(no_reference          ? "none"
                      : run.reference_model ? run.reference_model->path.string()
                                            : "the policy's starting weights") +
          "\n" + describe_reference_cache(config, run);
  text += "data:\n" + describe_set("train", run.train_set);
  for (const auto& [name, set] : run.eval_sets) text += describe_set(name, set);
  text += describe_samples(config, run);
  text += "objective: " + losses::loss_name(config.objective.loss_type);
  if (std::isfinite(run.objective->alpha())) text += ", alpha " + format("%.6g", run.objective->alpha());
  if (const double cap = run.objective->cap_log_ratio({}); std::isfinite(cap)) {
    text += ", capped above log-ratio " + format("%.4g", cap);
    if (!config.objective.max_weight) text += " at first";
  }
  text += "\nsteps: " + std::to_string(run.total_steps) + " of " +
          std::to_string(config.train.train_batch_size) + " examples, " +
          std::to_string(run.steps_per_epoch) + " an epoch; learning rate " +
          format("%g", config.optimizer.learning_rate) + " " +
          train::schedule_name(config.optimizer.lr_scheduler_type) + ", warm-up " +
          std::to_string(train::num_warmup_steps(config.optimizer, run.total_steps)) + " steps\n";

  const data::StratifiedSampler sampler(run.train_set, config.train.train_batch_size,
                                        static_cast<std::uint64_t>(config.train.seed));
  const data::StepPlan first = data::plan_step(run.train_set, sampler.step({}),
                                               {.micro_batch_tokens = config.train.micro_batch_tokens});
  text += "first step: " + std::to_string(first.micro_batches.size()) + " micro-batches, " +
          std::to_string(first.packed_tokens) + " packed tokens for " + std::to_string(first.counts.tokens) +
          " of all sequences\n";
  text += describe_memory(config, run, reference_source(config, run) == "live");
  text += "disk: " + gigabytes(train::checkpoint_bytes(n, run.dtype, config.optimizer.moment_dtype)) +
          " a checkpoint, at most " + std::to_string(config.checkpoint.save_total_limit + 1) +
          " at a time, in " + config.train.output_dir + "\n";
  return text;
}

std::string describe_start(const config::RunConfig& config, const LoadedRun& run) {
  return losses::loss_name(config.objective.loss_type) + ", " + std::to_string(run.total_steps) + " steps, " +
         dtype_label(run.dtype) + " on " + (run.device.is_cuda() ? "cuda" : "cpu") + ", " +
         plan_threads().describe();
}

}  // namespace ddro::cli
