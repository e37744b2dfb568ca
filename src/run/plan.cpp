#include "ddro/run/plan.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "ddro/base/progress.h"
#include "ddro/base/threads.h"
#include "ddro/models/packed_base.h"
#include "ddro/run/setup.h"
#include "ddro/run/summaries.h"
#include "ddro/train/memory_estimate.h"
#include "ddro/train/optimizer.h"
#include "ddro/train/schedule.h"
#include "run/fit_reference.h"
#include "run/reference.h"
#include "run/start_model.h"

namespace ddro::run {
namespace {

std::vector<std::int64_t> sequence_lengths(const data::Dataset& dataset) {
  std::vector<std::int64_t> lengths;
  for (const data::EncodedExample& example : dataset.examples) {
    for (const data::EncodedSequence& sequence : example.sequences) {
      lengths.push_back(static_cast<std::int64_t>(sequence.ids.size()));
    }
  }
  return lengths;
}

std::string in_lines(const std::vector<std::string>& remarks) {
  std::string text;
  for (const std::string& remark : remarks) text += "    " + remark + "\n";
  return text;
}

std::string describe_set(const RunSet& set) {
  const data::Dataset& dataset = set.dataset;
  return "  " + set.name + ": " + std::to_string(dataset.examples.size()) + " rows used, " +
         std::to_string(dataset.dropped.size()) + " dropped; preferred " +
         printable(dataset.class_weight(data::CompletionClass::kChosen), "%g") + ", unpreferred " +
         printable(dataset.class_weight(data::CompletionClass::kRejected), "%g") + "; sequence tokens " +
         percentiles(sequence_lengths(dataset)) + "\n" + in_lines(dropped_reasons(dataset.dropped));
}

std::string describe_mixture(const LoadedRun& run) {
  std::string text;
  const std::vector<data::MixturePart>& mixture = run.train.dataset.mixture;
  for (size_t i = 0; i < mixture.size(); ++i) {
    const std::int64_t begin = i == 0 ? 0 : mixture[i - 1].end;
    text += "    " + printable(run.config.data.train_files[i].pattern, 400) + ": weight " +
            printable(mixture[i].weight, "%g") + " of " + std::to_string(mixture[i].end - begin) + " rows\n";
  }
  return text.empty()
             ? text
             : "  mixture of each epoch, " + std::to_string(run.sampler().num_examples()) + " rows:\n" + text;
}

// Of an epoch's steps (the first hundred of a long one) the one with the largest micro-batch.
data::StepPlan largest_step(const LoadedRun& run) {
  const data::StratifiedSampler sampler = run.sampler();
  const auto size = [](const data::StepPlan& plan) {
    size_t largest = 0;
    for (const data::PackedBatch& batch : plan.micro_batches) largest = std::max(largest, batch.ids_T.size());
    return largest;
  };
  data::StepPlan result;
  data::SamplerState at;
  for (; at.epoch == 0 && at.step_in_epoch < 100; at = sampler.next(at)) {
    data::StepPlan plan = data::plan_step(run.train.dataset, sampler.step(at), run.pack_options());
    if (size(plan) > size(result)) result = std::move(plan);
  }
  return result;
}

// Of all weights in the type that the run computes in.
double computed_bytes(const LoadedRun& run) {
  return static_cast<double>(num_parameters(run.base_model)) *
         static_cast<double>(at::elementSize(run.dtype));
}

// Of a model that is not trained in memory; 0 where none of it stays as it is stored.
double packed_bytes(const LoadedRun& run, const models::ModelFolder& frozen) {
  const double bytes = models::bytes_of_base(frozen, {.device = run.device,
                                                      .dtype = run.dtype,
                                                      .trainable = false,
                                                      .keep_stored_dtype = run.keeps_stored_dtype()});
  return bytes < computed_bytes(run) ? bytes : 0;
}

double bytes_of_files(const models::ModelFolder& folder) {
  double bytes = 0;
  for (const auto& file : folder.weight_files) bytes += static_cast<double>(file->bytes().size());
  return bytes;
}

// Numbers that the optimizer keeps of each that is trained.
double num_moments(const LoadedRun& run) {
  const models::ParameterRoles roles(run.base_model.spec);
  double kept = 0, trained = 0;
  for (const auto& [name, tensor] : run.adapter ? run.adapter->tensors : run.base_model.tensors) {
    kept += static_cast<double>(train::num_moment_numbers(run.config.optimizer, roles[name], tensor.sizes()));
    trained += static_cast<double>(tensor.numel());
  }
  return kept / trained;
}

train::MemoryModel memory_model(const LoadedRun& run, dist::Shard shard) {
  const bool live_reference = run.reference_source() == "live";
  train::MemoryModel model;
  model.spec = run.base_model.spec;
  model.num_parameters = num_parameters(run.base_model);
  model.dtype = run.dtype;
  model.moment_dtype = run.config.optimizer.moment_dtype;
  model.num_moments = num_moments(run);
  model.device = run.device;
  if (run.adapter) model.adapter = run.adapter->spec;
  model.gradient_checkpointing = run.config.model.gradient_checkpointing;
  model.num_ranks = run.num_ranks;
  model.shard = shard;
  // An adapter's base lends the reference its weights, as far as a rank has them.
  const bool lends = run.adapter && !run.reference_model && train::shard_of(model) != dist::Shard::kFull;
  model.live_reference = live_reference && !lends;
  // The last one is written from the weights themselves.
  model.copies_checkpoints = run.config.checkpoint.async_save && saves_between(run);
  if (run.adapter && train::shard_of(model) != dist::Shard::kFull) {
    model.packed_bytes = packed_bytes(run, run.base_model);
    if (run.reference_model) model.packed_reference_bytes = packed_bytes(run, *run.reference_model);
  }
  model.mapped_bytes = bytes_of_files(run.base_model);
  if (run.reference_model) model.mapped_bytes += bytes_of_files(*run.reference_model);
  return model;
}

// Which kinds of sharding a rank has the memory for.
std::string describe_shards(const LoadedRun& run, const data::StepPlan& largest, int ranks_here) {
  const double there = free_memory(run.device) / (run.device.is_cuda() ? 1 : ranks_here);
  const bool whole_tensors = train::needs_whole_tensors(run.config.optimizer.optim);
  std::string text;
  for (const auto& [name, shard] : EnumNames<dist::Shard>::kNames) {
    if (shard != dist::Shard::kNone && whole_tensors) continue;  // refused
    const double peak = train::estimate_memory(memory_model(run, shard), largest).peak();
    text += (text.empty() ? "  with distributed.shard " : ", ") + std::string(name) + " " + gigabytes(peak) +
            (peak <= there ? " (fits)" : " (does not fit)");
  }
  return text + "; free for each rank: " + gigabytes(there) + "\n";
}

std::string describe_memory(const LoadedRun& run, const train::MemoryModel& model,
                            const data::StepPlan& largest) {
  const train::MemoryEstimate estimate = train::estimate_memory(model, largest);
  std::string text =
      "memory: " + gigabytes(estimate.peak()) + (model.num_ranks > 1 ? " a rank at most: " : " at most: ") +
      gigabytes(estimate.weights) + " weights, gradients and moments" +
      (run.reference_source() == "live" ? ", reference" : "") + ", " + gigabytes(estimate.activations) +
      " activations, " + gigabytes(estimate.head) + " logits";
  if (estimate.gathered > 0) text += ", " + gigabytes(estimate.gathered) + " layers and head while in use";
  if (estimate.process > 0) text += ", " + gigabytes(estimate.process) + " libraries, data and heap";
  if (estimate.copy > 0) text += ", " + gigabytes(estimate.copy) + " copy of a checkpoint";
  if (model.copies_checkpoints && !model.device.is_cpu())
    text += "; on the host: " + gigabytes(train::checkpoint_bytes(model) / model.num_ranks) +
            " copy of a checkpoint";
  return text + "\n";
}

std::string describe_samples(const LoadedRun& run) {
  if (run.prompts.empty()) return "";
  const train::EvalOptions& eval = run.config.eval;
  const bool in_steps = eval.eval_strategy == IntervalStrategy::kSteps;
  return "samples: " + std::to_string(run.prompts.size()) + " prompts of " + *eval.prompts + ", " +
         std::to_string(eval.samples.num_samples) + " of each, at most " +
         std::to_string(eval.samples.max_new_tokens) + " tokens; " +
         (eval.eval_on_start ? "at the start, " : "") +
         (in_steps ? "every " + std::to_string(eval.eval_steps) + " steps" : "after every epoch") +
         " and at the end\n";
}

std::string describe_optimizer(const train::OptimizerOptions& optimizer) {
  std::string text = enum_name(optimizer.optim);
  if (optimizer.optim == train::Optim::kSgd || optimizer.optim == train::Optim::kMuon)
    text += std::string(optimizer.used_nesterov() ? ", Nesterov" : "") + ", momentum " +
            printable(optimizer.used_momentum(), "%g");
  return text;
}

std::string describe_kwargs(const train::OptimizerOptions& optimizer) {
  return optimizer.lr_scheduler_kwargs.empty() ? ""
                                               : " " + printable(optimizer.lr_scheduler_kwargs.dump(), 400);
}

std::string describe_best(const LoadedRun& run) {
  if (!run.best_metric) return "";
  const BestMetric& metric = *run.best_metric;
  return "best: by " + metric.name + ", " + (metric.greater_is_better ? "greater" : "smaller") +
         " is better" +
         (metric.patience > 0
              ? "; the run ends after " + std::to_string(metric.patience) + " evaluations that are no better"
              : "") +
         "\n";
}

std::string describe_packed(const LoadedRun& run) {
  const double bytes = memory_model(run, run.config.distributed.shard).packed_bytes;
  if (bytes == 0) return "";
  const bool is_packed = models::is_packed(run.base_model);
  return std::string("base: stays ") + (is_packed ? "packed, " : "as stored, ") + gigabytes(bytes) + "; " +
         gigabytes(computed_bytes(run)) +
         (is_packed ? " unpacked\n" : " in " + dtype_label(run.dtype) + "\n");
}

std::string describe_adapter(const LoadedRun& run) {
  if (!run.adapter) return "";
  const auto trained = static_cast<double>(models::num_parameters(run.adapter->spec));
  return "adapter: " + models::summary(run.adapter->spec) + ", " + printable(trained / 1e6, "%.3g") +
         "M parameters are trained, " +
         printable(100 * trained / static_cast<double>(num_parameters(run.base_model)), "%.3g") +
         " % of the model's\n" + describe_packed(run);
}

}  // namespace

bool saves_between(const LoadedRun& run) {
  const checkpoint::CheckpointOptions& saves = run.config.checkpoint;
  if (saves.save_strategy == IntervalStrategy::kSteps) return saves.save_steps < run.total_steps;
  return saves.save_strategy == IntervalStrategy::kEpoch && run.steps_per_epoch < run.total_steps;
}

std::string describe_plan(const LoadedRun& run, const dist::Launch& launch) {
  const std::int64_t n = num_parameters(run.base_model);
  std::string text = "model: " + run.base_model.path.string() + ", " + run.base_model.spec.model_type + ", " +
                     printable(static_cast<double>(n) / 1e6, "%.1f") + "M parameters, computes in " +
                     dtype_label(run.dtype) + " on " + (run.device.is_cuda() ? "cuda" : "cpu") + "\n";
  text += "threads: " + plan_threads(launch.sharing_ranks).describe() + "\n";
  if (run.num_ranks > 1) text += "ranks: " + std::to_string(run.num_ranks) + "\n";
  text += describe_adapter(run);
  text += "reference: " + describe_reference(run) + "\n";
  text += describe_fit(run) + describe_reference_cache(run);
  text += "data:\n" + describe_set(run.train) + describe_mixture(run);
  for (const RunSet& set : run.eval_sets) text += describe_set(set);
  text += describe_samples(run) + describe_best(run);
  text += "objective: " + losses::loss_name(run.config.objective.loss_type);
  if (std::isfinite(run.objective->alpha())) text += ", alpha " + printable(run.objective->alpha(), "%.6g");
  if (const double cap = run.objective->cap_log_ratio({}); std::isfinite(cap)) {
    text += ", capped above log-ratio " + printable(cap, "%.4g");
    if (!run.config.objective.max_weight) text += " at first";
  }
  text += "\nsteps: " + std::to_string(run.total_steps) + " of " +
          std::to_string(run.config.train.train_batch_size) + " examples, " +
          std::to_string(run.steps_per_epoch) + " an epoch; " + describe_optimizer(run.config.optimizer) +
          ", learning rate " + printable(run.config.optimizer.learning_rate, "%g") + " " +
          enum_name(run.config.optimizer.lr_scheduler_type) + describe_kwargs(run.config.optimizer) +
          ", warm-up " + std::to_string(train::num_warmup_steps(run.config.optimizer, run.total_steps)) +
          " steps\n";

  const data::StepPlan first = data::plan_step(run.train.dataset, run.sampler().step({}), run.pack_options());
  text += "first step: " + std::to_string(first.micro_batches.size()) + " micro-batches, " +
          std::to_string(first.packed_tokens) + " packed tokens for " + std::to_string(first.num_tokens) +
          " of all sequences\n";
  const train::MemoryModel memory = memory_model(run, run.config.distributed.shard);
  const data::StepPlan largest = largest_step(run);
  text += describe_memory(run, memory, largest);
  if (run.num_ranks > 1) text += describe_shards(run, largest, launch.local_size);
  text += "disk: " + gigabytes(train::checkpoint_bytes(memory)) + " a checkpoint, at most " +
          std::to_string(run.config.checkpoint.save_total_limit + 1) + " at a time, in " +
          run.config.train.output_dir + "\n";
  return text;
}

std::string describe_start(const LoadedRun& run, int sharing_ranks) {
  return losses::loss_name(run.config.objective.loss_type) + ", " + std::to_string(run.total_steps) +
         " steps, " + dtype_label(run.dtype) + " on " + (run.device.is_cuda() ? "cuda" : "cpu") + ", " +
         plan_threads(sharing_ranks).describe() +
         (run.num_ranks > 1 ? ", in " + std::to_string(run.num_ranks) + " ranks" : "");
}

}  // namespace ddro::run
