#include "run/reference.h"

#include <c10/cuda/CUDACachingAllocator.h>
#include <malloc.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "ddro/base/log.h"
#include "ddro/data/reference_cache.h"
#include "ddro/run/setup.h"
#include "run/reference_cache.h"

namespace ddro::run {
namespace {

constexpr std::chrono::milliseconds kLockPollInterval{200};

data::ReferenceCache open_cache(const LoadedRun& run) {
  const std::filesystem::path folder =
      run.config.reference.ref_cache_dir.value_or(run.output("ref_cache").string());
  const models::ModelFolder& reference = run.reference_folder();
  return {folder, Json{{"weights_hash", reference.weights_hash},
                       {"dtype", dtype_label(run.dtype)},
                       {"architecture", models::describe(reference.spec)}}};
}

std::vector<ReadRows> evaluation_rows(const LoadedRun& run) {
  std::vector<ReadRows> rows;
  for (const RunSet& set : run.eval_sets) rows.emplace_back(set.dataset, run.pack_options());
  return rows;
}

// What a training reads.
std::vector<ReadRows> training_rows(const LoadedRun& run) {
  std::vector<ReadRows> rows;
  if (run.evaluates()) rows = evaluation_rows(run);
  rows.insert(rows.begin(), {run.train.dataset, run.pack_options(), run.sampler(), run.total_steps});
  return rows;
}

std::unique_ptr<models::CausalLm> build_reference(const LoadedRun& run) {
  return build_model(run.reference_folder(), run.device, run.dtype, /*trainable=*/false,
                     /*gradient_checkpointing=*/false);
}

std::unique_ptr<models::CausalLm> use_live_reference(LoadedRun& run) {
  auto model = build_reference(run);
  run.train.reference = std::make_shared<train::ModelLogProbs>(*model);
  for (RunSet& set : run.eval_sets) set.reference = run.train.reference;
  return model;
}

void use_cache(const data::ReferenceCache& cache, RunSet& set) {
  set.reference = std::make_shared<train::LogProbTable>(reference_table(cache, set.dataset));
}

// Waits until no other process writes the cache.
void acquire(FileLock& lock, const data::ReferenceCache& cache, const StopFlag& stop) {
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
            const std::vector<ReadRows>& rows) {
  if (coverage(cache, rows).found > 0) verify_reference_cache(cache, reference, rows);
}

// Afterwards the cache has all of `rows`.
void complete_cache(data::ReferenceCache& cache, const LoadedRun& run, const std::vector<ReadRows>& rows,
                    const StopFlag& stop) {
  const auto reference = build_reference(run);
  const bool as_it_is = cache.num_damaged() + cache.num_torn_bytes() == 0;
  if (as_it_is && coverage(cache, rows).is_complete()) {
    verify(cache, *reference, rows);
  } else {
    FileLock lock(data::reference_cache_lock(cache.path()));
    acquire(lock, cache, stop);
    cache = open_cache(run);
    verify(cache, *reference, rows);
    fill_reference_cache(cache, *reference, rows, [&] { return stop.requested(); });
  }
  if (!stop.requested()) return;
  const ReferenceCoverage now = coverage(cache, rows);
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

std::unique_ptr<models::CausalLm> prepare_reference(LoadedRun& run, const StopFlag& stop) {
  if (!run.objective->reads_reference()) return nullptr;
  if (!run.caches_reference()) {
    if (run.config.reference.precompute_ref_log_probs) {
      log_info(
          "reference: stays in memory: kto's reference point takes completions under other prompts, which "
          "change with the order of the rows");
    }
    return use_live_reference(run);
  }
  data::ReferenceCache cache = open_cache(run);
  complete_cache(cache, run, training_rows(run), stop);
  give_back_memory(run);
  use_cache(cache, run.train);
  if (run.evaluates()) {
    for (RunSet& set : run.eval_sets) use_cache(cache, set);
  }
  return nullptr;
}

std::unique_ptr<models::CausalLm> prepare_evaluation_reference(LoadedRun& run) {
  if (!run.objective->reads_reference()) return nullptr;
  if (run.caches_reference()) {
    const data::ReferenceCache cache = open_cache(run);
    const std::vector<ReadRows> rows = evaluation_rows(run);
    if (coverage(cache, rows).is_complete()) {
      verify(cache, *build_reference(run), rows);
      give_back_memory(run);
      for (RunSet& set : run.eval_sets) use_cache(cache, set);
      return nullptr;
    }
    log_info("reference: " + cache.path().string() + " does not have every row; computed by the model");
  }
  return use_live_reference(run);
}

std::string describe_reference_cache(const LoadedRun& run) {
  if (!run.caches_reference()) return "";
  const data::ReferenceCache cache = open_cache(run);
  const std::vector<ReadRows> rows = training_rows(run);
  const ReferenceCoverage now = coverage(cache, rows);
  return "reference cache: " + cache.path().string() + ", has " + std::to_string(now.found) + " of " +
         std::to_string(now.rows) + " log-probabilities; " + std::to_string(now.rows - now.found) +
         " are computed first, in " + std::to_string(num_missing_batches(cache, rows)) + " micro-batches\n";
}

}  // namespace ddro::run
