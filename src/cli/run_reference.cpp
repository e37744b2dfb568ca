#include "cli/run_reference.h"

#include <c10/cuda/CUDACachingAllocator.h>
#include <malloc.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "cli/summaries.h"
#include "ddro/base/log.h"
#include "ddro/data/reference_cache.h"
#include "ddro/train/reference_build.h"

namespace ddro::cli {
namespace {

constexpr std::chrono::milliseconds kLockPollInterval{200};

data::ReferenceCache open_cache(const config::RunConfig& config, const LoadedRun& run) {
  const std::filesystem::path folder = config.reference.ref_cache_dir.value_or(
      (std::filesystem::path(config.train.output_dir) / "ref_cache").string());
  const models::ModelFolder& reference = run.reference_folder();
  return {folder, Json{{"weights_hash", reference.weights_hash},
                       {"dtype", dtype_label(run.dtype)},
                       {"architecture", models::describe(reference.config)}}};
}

train::DatasetList eval_sets(const LoadedRun& run) {
  train::DatasetList sets;
  for (const auto& [name, set] : run.eval_sets) sets.push_back(&set);
  return sets;
}

bool evaluates(const config::RunConfig& config) {
  return config.eval.eval_strategy != train::EvalStrategy::kNo;
}

// What a training reads.
train::DatasetList training_sets(const config::RunConfig& config, const LoadedRun& run) {
  train::DatasetList sets;
  if (evaluates(config)) sets = eval_sets(run);
  sets.insert(sets.begin(), &run.train_set);
  return sets;
}

data::PackOptions pack_options(const config::RunConfig& config) {
  return {.micro_batch_tokens = config.train.micro_batch_tokens};
}

std::unique_ptr<models::CausalLm> build_reference(const LoadedRun& run) {
  return build_model(run.reference_folder(), run.device, run.dtype, /*trainable=*/false,
                     /*gradient_checkpointing=*/false);
}

RunReference live_reference(const LoadedRun& run) {
  RunReference reference;
  reference.model = build_reference(run);
  reference.train_set = std::make_shared<train::LiveReference>(*reference.model);
  reference.eval_sets.assign(run.eval_sets.size(), reference.train_set);
  return reference;
}

std::shared_ptr<const train::ReferenceLogProbs> table(const data::ReferenceCache& cache,
                                                      const data::Dataset& set) {
  return std::make_shared<train::ReferenceTable>(train::reference_table(cache, set));
}

// Whether the objective reads the reference, and of the run's rows alone.
bool is_cached(const config::RunConfig& config, const LoadedRun& run) {
  return config.reference.precompute_ref_log_probs && run.objective->reads_reference() &&
         !run.objective->needs_mismatched();
}

// Waits until no other process writes the cache.
void acquire(FileLock& lock, const data::ReferenceCache& cache, const train::StopFlag& stop) {
  for (bool told = false; !lock.try_lock(); told = true) {
    if (!told)
      log_info("reference: waiting for " + lock.holder() + ", which writes " + cache.path().string());
    if (stop.requested()) {
      throw Error(ErrorKind::kInterrupted, "[reference] stopped by " + stop.reason() + " while waiting for " +
                                               cache.path().string() + "; run the same command again");
    }
    std::this_thread::sleep_for(kLockPollInterval);
  }
}

void verify(const data::ReferenceCache& cache, const models::CausalLm& reference,
            const train::DatasetList& sets, const config::RunConfig& config) {
  if (train::coverage(cache, sets).found > 0)
    train::verify_reference_cache(cache, reference, sets, pack_options(config));
}

// Afterwards the cache has every row of `sets`.
void complete_cache(data::ReferenceCache& cache, const config::RunConfig& config, const LoadedRun& run,
                    const train::DatasetList& sets, const train::StopFlag& stop) {
  const auto reference = build_reference(run);
  const bool as_it_is = cache.num_damaged() + cache.num_torn_bytes() == 0;
  if (as_it_is && train::coverage(cache, sets).is_complete()) {
    verify(cache, *reference, sets, config);
  } else {
    FileLock lock(data::reference_cache_lock(cache.path()));
    acquire(lock, cache, stop);
    cache = open_cache(config, run);
    verify(cache, *reference, sets, config);
    train::fill_reference_cache(cache, *reference, sets, pack_options(config),
                                [&] { return stop.requested(); });
  }
  if (!stop.requested()) return;
  const train::ReferenceCoverage now = train::coverage(cache, sets);
  throw Error(ErrorKind::kInterrupted, "[reference] stopped by " + stop.reason() + " with " +
                                           std::to_string(now.found) + " of " + std::to_string(now.rows) +
                                           " log-probabilities in the cache; run the same command to go on");
}

// What freed tensors have left with the allocators, and the mapped weights.
void give_back_memory(const LoadedRun& run) {
  run.reference_folder().release_pages();
  malloc_trim(0);
  if (run.device.is_cuda()) c10::cuda::CUDACachingAllocator::emptyCache();
}

}  // namespace

RunReference prepare_reference(const config::RunConfig& config, const LoadedRun& run,
                               const train::StopFlag& stop) {
  if (!run.objective->reads_reference()) return {nullptr, nullptr, {run.eval_sets.size(), nullptr}};
  if (!is_cached(config, run)) {
    if (config.reference.precompute_ref_log_probs) {
      log_info(
          "reference: stays in memory: kto's reference point takes completions under other prompts, which "
          "change with the order of the rows");
    }
    return live_reference(run);
  }
  data::ReferenceCache cache = open_cache(config, run);
  complete_cache(cache, config, run, training_sets(config, run), stop);
  give_back_memory(run);
  RunReference reference;
  reference.train_set = table(cache, run.train_set);
  reference.eval_sets.resize(run.eval_sets.size());
  if (!evaluates(config)) return reference;
  for (size_t i = 0; i < run.eval_sets.size(); ++i)
    reference.eval_sets[i] = table(cache, run.eval_sets[i].second);
  return reference;
}

RunReference evaluation_reference(const config::RunConfig& config, const LoadedRun& run) {
  if (!run.objective->reads_reference()) return {nullptr, nullptr, {run.eval_sets.size(), nullptr}};
  if (is_cached(config, run)) {
    const data::ReferenceCache cache = open_cache(config, run);
    const train::DatasetList sets = eval_sets(run);
    if (train::coverage(cache, sets).is_complete()) {
      verify(cache, *build_reference(run), sets, config);
      give_back_memory(run);
      RunReference reference;
      for (const data::Dataset* set : sets) reference.eval_sets.push_back(table(cache, *set));
      return reference;
    }
    log_info("reference: " + cache.path().string() + " does not have every row; computed by the model");
  }
  RunReference reference = live_reference(run);
  reference.train_set = nullptr;
  return reference;
}

Json reference_source(const config::RunConfig& config, const LoadedRun& run) {
  if (!run.objective->reads_reference()) return nullptr;
  return is_cached(config, run) ? "cached" : "live";
}

std::string describe_reference_cache(const config::RunConfig& config, const LoadedRun& run) {
  if (!is_cached(config, run)) return "";
  const data::ReferenceCache cache = open_cache(config, run);
  const train::DatasetList sets = training_sets(config, run);
  const train::ReferenceCoverage now = train::coverage(cache, sets);
  return "reference cache: " + cache.path().string() + ", has " + std::to_string(now.found) + " of " +
         std::to_string(now.rows) + " log-probabilities; " + std::to_string(now.rows - now.found) +
         " are computed first, in " +
         std::to_string(train::num_missing_batches(cache, sets, pack_options(config))) + " micro-batches\n";
}

}  // namespace ddro::cli
