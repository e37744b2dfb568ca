#include "run/reference.h"

#include <c10/cuda/CUDACachingAllocator.h>
#include <malloc.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>

#include "ddro/base/log.h"
#include "ddro/data/reference_cache.h"
#include "ddro/ops/tensor_memory.h"
#include "ddro/run/setup.h"
#include "ddro/train/weight_parts.h"
#include "run/fit_reference.h"
#include "run/reference_cache.h"

namespace ddro::run {
namespace {

constexpr std::chrono::milliseconds kLockPollInterval{200};

std::filesystem::path cache_folder(const LoadedRun& run) {
  return run.config.reference.ref_cache_dir.value_or(run.output("ref_cache").string());
}

Json cache_key(const LoadedRun& run) {
  const models::ModelFolder& reference = run.reference_folder();
  return {{"weights_hash", reference.weights_hash},
          {"dtype", dtype_label(run.dtype)},
          {"architecture", models::describe(reference.spec)}};
}

data::ReferenceCache open_cache(const LoadedRun& run) { return {cache_folder(run), cache_key(run)}; }

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
  return run.build_frozen(run.reference_folder());
}

std::unique_ptr<models::CausalLm> use_live_reference(LoadedRun& run) {
  auto model = build_reference(run);
  run.train.reference = std::make_shared<train::ModelLogProbs>(*model);
  for (RunSet& set : run.eval_sets) set.reference = run.train.reference;
  return model;
}

// `cache`: of the first rank, which tells the others what it has.
void use_cache(const std::optional<data::ReferenceCache>& cache, const LoadedRun& run, RunSet& set) {
  set.reference = std::make_shared<train::LogProbTable>(
      set.dataset,
      run.ranks->broadcast(cache ? reference_values(*cache, set.dataset) : std::vector<double>()));
}

// Waits until no other process writes the cache. `lock` and `cache`: of the first rank.
void acquire(std::optional<FileLock>& lock, const std::optional<data::ReferenceCache>& cache,
             const StopFlag& stop, const dist::Communicator& ranks) {
  const std::string path = cache ? cache->path().string() : "the cache";
  for (bool told = false; !ranks.broadcast(lock && lock->try_lock()); told = true) {
    if (lock && !told) log_info("reference: waiting for " + lock->holder() + ", which writes " + path);
    if (stop.agree(ranks)) {
      throw Error(ErrorKind::kInterrupted, "[reference] stopped by " + stop.reason() + " while waiting for " +
                                               path + "; run the same command again");
    }
    std::this_thread::sleep_for(kLockPollInterval);
  }
}

// `cache`: of the first rank, which does it.
void verify(const std::optional<data::ReferenceCache>& cache, const LoadedRun& run,
            const models::CausalLm& reference, const std::vector<ReadRows>& rows) {
  train::on_first_rank(reference, *run.ranks, [&] {
    if (coverage(*cache, rows).found > 0) verify_reference_cache(*cache, reference, rows);
  });
}

bool is_complete(const data::ReferenceCache& cache, const std::vector<ReadRows>& rows) {
  return cache.num_damaged() + cache.num_torn_bytes() == 0 && coverage(cache, rows).is_complete();
}

// The first rank writes, all compute.
void fill(std::optional<data::ReferenceCache>& cache, const LoadedRun& run, const models::CausalLm& reference,
          const std::vector<ReadRows>& rows, const StopFlag& stop) {
  const auto requested = [&] { return stop.requested(); };
  std::optional<FileLock> lock;
  if (cache) lock.emplace(data::reference_cache_lock(cache->path()));
  acquire(lock, cache, stop, *run.ranks);
  if (cache) cache.emplace(open_cache(run));
  verify(cache, run, reference, rows);
  if (cache) {
    fill_reference_cache(*cache, reference, rows, requested, *run.ranks);
  } else {
    help_fill_reference_cache(reference, rows, requested, *run.ranks);
  }
}

// Afterwards the cache, which the first rank alone has, holds all of `rows`.
void complete_cache(std::optional<data::ReferenceCache>& cache, const LoadedRun& run,
                    const std::vector<ReadRows>& rows, const StopFlag& stop) {
  const bool complete = run.ranks->broadcast(cache && is_complete(*cache, rows));
  // To verify it takes the first rank, and those that have parts of its weights.
  if (cache || !complete || run.config.distributed.shard == dist::Shard::kFull) {
    const auto reference = build_reference(run);
    if (complete) {
      verify(cache, run, *reference, rows);
    } else {
      fill(cache, run, *reference, rows, stop);
    }
  }
  if (!stop.agree(*run.ranks)) return;
  std::string how_far;
  if (cache) {
    const ReferenceCoverage now = coverage(*cache, rows);
    how_far = std::to_string(now.found) + " of " + std::to_string(now.rows);
  }
  throw Error(ErrorKind::kInterrupted, "[reference] stopped by " + stop.reason() + " with " +
                                           run.ranks->broadcast(how_far) +
                                           " log-probabilities in the cache; run the same command to go on");
}

// What freed tensors have left with the allocators, and the mapped weights.
void give_back_memory(const LoadedRun& run) {
  run.reference_folder().release_pages();
  malloc_trim(0);
  ops::give_back_tensor_memory();
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
  std::optional<data::ReferenceCache> cache;
  if (run.ranks->is_first()) cache.emplace(open_cache(run));
  complete_cache(cache, run, training_rows(run), stop);
  give_back_memory(run);
  use_cache(cache, run, run.train);
  if (run.evaluates()) {
    for (RunSet& set : run.eval_sets) use_cache(cache, run, set);
  }
  return nullptr;
}

std::unique_ptr<models::CausalLm> prepare_evaluation_reference(LoadedRun& run) {
  if (!run.objective->reads_reference()) return nullptr;
  if (run.caches_reference()) {
    const std::optional<data::ReferenceCache> cache = open_cache(run);
    const std::vector<ReadRows> rows = evaluation_rows(run);
    if (coverage(*cache, rows).is_complete()) {
      verify(cache, run, *build_reference(run), rows);
      give_back_memory(run);
      for (RunSet& set : run.eval_sets) use_cache(cache, run, set);
      return nullptr;
    }
    log_info("reference: " + cache->path().string() + " does not have every row; computed by the model");
  }
  return use_live_reference(run);
}

std::uintmax_t cached_reference_bytes(const LoadedRun& run) {
  if (!run.caches_reference()) return 0;
  std::error_code error;
  const auto bytes =
      std::filesystem::file_size(data::reference_cache_path(cache_folder(run), cache_key(run)), error);
  return error ? 0 : bytes;
}

std::string describe_reference_cache(const LoadedRun& run) {
  if (!run.caches_reference() || awaits_fit(run)) return "";
  const data::ReferenceCache cache = open_cache(run);
  const std::vector<ReadRows> rows = training_rows(run);
  const ReferenceCoverage now = coverage(cache, rows);
  return "reference cache: " + cache.path().string() + ", has " + std::to_string(now.found) + " of " +
         std::to_string(now.rows) + " log-probabilities; " + std::to_string(now.rows - now.found) +
         " are computed first, in " + std::to_string(num_missing_batches(cache, rows)) + " micro-batches\n";
}

}  // namespace ddro::run
