#include "ddro/run/train_run.h"

#include <ATen/Parallel.h>

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ddro/base/files.h"
#include "ddro/base/hash.h"
#include "ddro/base/heartbeat.h"
#include "ddro/base/interruption.h"
#include "ddro/base/log.h"
#include "ddro/base/threads.h"
#include "ddro/dist/agreement.h"
#include "ddro/dist/rank.h"
#include "ddro/run/plan.h"
#include "ddro/run/setup.h"
#include "ddro/run/version.h"
#include "ddro/train/nvtx_ranges.h"
#include "run/final_model.h"
#include "run/fit_reference.h"
#include "run/folder_safety.h"
#include "run/identity.h"
#include "run/metrics_log.h"
#include "run/policy_files.h"
#include "run/reference.h"
#include "run/restarts.h"
#include "run/resume.h"
#include "run/run_folder.h"
#include "run/start_model.h"
#include "run/training.h"

namespace ddro::run {
namespace {

// Writes the sets that the run's cache of tokens lacks.
void write_missing_tokens(const RunSet& set) {
  if (set.missing_tokens) data::write_token_cache(*set.missing_tokens, set.dataset);
}

void write_missing_tokens(const LoadedRun& run) {
  write_missing_tokens(run.train);
  for (const RunSet& set : run.eval_sets) write_missing_tokens(set);
}

std::unique_ptr<models::CausalLm> build_policy(const LoadedRun& run, const models::CausalLm* reference) {
  return models::make_causal_lm(run.base_model.spec,
                                base_tensors(run, run.reference_model ? nullptr : reference),
                                {.device = run.device,
                                 .dtype = run.dtype,
                                 .trainable = true,
                                 .adapter = run.adapter ? &*run.adapter : nullptr,
                                 .keep_stored_dtype = run.keeps_stored_dtype(),
                                 .gradient_checkpointing = run.config.model.gradient_checkpointing,
                                 .store = run.make_weight_store()});
}

// What a run has come to.
struct Outcome {
  std::int64_t step = 0;
  std::optional<BestEvaluation> best;
};

std::unique_ptr<models::CausalLm> reference_of(LoadedRun& run, const StopFlag& stop) {
  const Doing reference(Activity::kReference);
  return prepare_reference(run, stop);
}

// From the first step, or that of `resume_from`, to the exported model. `early`: until the first step.
Outcome train_and_export(LoadedRun& run, const RunIdentity& identity, const StopFlag& stop,
                         std::optional<Interruptible>& early,
                         const std::optional<checkpoint::Checkpoint>& resume_from, Heartbeat* heartbeat) {
  const auto reference = reference_of(run, stop);
  const auto policy = build_policy(run, reference.get());
  failpoint("train.built");
  std::vector<train::Evaluation> last;
  std::optional<Doing> exporting;
  Outcome outcome;
  {
    Training training(run, *policy, reference.get(), stop, identity, resume_from, heartbeat);
    run.base_model.release_pages();
    early.reset();
    training.run();
    exporting.emplace(Activity::kExport);
    if (run.ranks->is_first()) export_final(run, training.weights(), training.card());
    run.ranks->barrier();
    last = training.last_evaluation();
    outcome.step = training.step();
    if (training.best()) outcome.best = *training.best();
  }
  verify_final(run, *policy, last, stop);
  if (run.ranks->is_first()) export_final_gguf(run);
  if (outcome.best && outcome.best->exists()) verify_best(run, *policy, *outcome.best, stop);
  return outcome;
}

std::string hash_of(const std::vector<data::Prompt>& prompts) {
  Hasher hasher;
  for (const data::Prompt& prompt : prompts) {
    const size_t length = prompt.ids.size();
    hasher.update(std::as_bytes(std::span(&length, 1)));
    hasher.update(std::as_bytes(std::span(prompt.ids)));
  }
  return hasher.hex();
}

// Error(kInput) where the ranks are not about to do the same.
void meet_others(LoadedRun& run, dist::Rank& rank) {
  run.ranks = &rank.join(run.device);
  Json facts = run_identity(run);
  facts.erase("threads");
  facts["program"] = version_text();
  for (const RunSet& set : run.eval_sets) facts["data.eval_files." + set.name] = set.dataset.content_hash;
  facts["eval.prompts"] = hash_of(run.prompts);
  dist::check_agreement(*run.ranks, facts);
}

// Of the first rank: the run's folder is its own. Where Slurm has started a job again, the start before may
// go on still, on a node that does not answer: then it is tried once more later.
struct Ownership {
  explicit Ownership(const LoadedRun& run)
      : lock(made(run.config.train.output_dir), is_restart() ? ErrorKind::kInterrupted : ErrorKind::kInput),
        heartbeat(run.output("heartbeat.json")) {
    check_restart(run);
  }

  static const std::string& made(const std::string& path) {
    make_folder(path);
    return path;
  }

  checkpoint::RunLock lock;
  Heartbeat heartbeat;
};

// Of the first rank: where it goes on.
struct Beginning {
  Beginning(const LoadedRun& run, const RunIdentity& identity, const TrainRequest& request)
      : folder(run, identity, read_run_record(run.config.train.output_dir)),
        resume_from(find_checkpoint(request.resume, run)),
        is_finished(request.resume == "auto" && resume_from && folder.is_finished(resume_from->step)) {
    if (is_finished) {
      log_info("the run in " + run.config.train.output_dir + " is finished (" +
               std::to_string(resume_from->step) + " steps" +
               (resume_from->step < run.total_steps ? ", stopped early" : "") + "); its model is " +
               run.output("final").string());
    } else if (resume_from) {
      check_checkpoint(*resume_from, run, identity, request.allowed_changes);
      check_writers(*resume_from, run.config.checkpoint.allow_world_writable);
      if (request.resume != "auto") checkpoint::set_aside_after(run.output("checkpoints"), resume_from->step);
    }
  }

  RunFolder folder;
  std::optional<checkpoint::Checkpoint> resume_from;
  bool is_finished;
};

// What the first rank goes on from, which it has verified.
std::optional<checkpoint::Checkpoint> same_checkpoint(const dist::Communicator& ranks,
                                                      const std::optional<Beginning>& beginning) {
  checkpoint::Checkpoint from;
  if (beginning && beginning->resume_from) from = *beginning->resume_from;
  from.path = ranks.broadcast(from.path.string());
  from.manifest = Json::parse(ranks.broadcast(from.manifest.dump()));
  if (from.path.empty()) return std::nullopt;
  from.step = from.manifest.at("step").get<std::int64_t>();
  return from;
}

LoadedRun load(config::RunConfig config, const TrainRequest& request, const StopFlag& stop) {
  const Interruptible early([&stop] { return stop.requested(); });
  try {
    LoadedRun run = load_run(std::move(config), request.launch.local_rank);
    run.num_ranks = request.launch.size;
    run.ranks_here = request.launch.local_size;
    return run;
  } catch (const Interrupted&) {
    stop.leave_before_first_step();
  }
}

// What ranks that have met and found no reason against it do.
void train_loaded(LoadedRun& run, const TrainRequest& request, const StopFlag& stop,
                  std::optional<Interruptible>& early, Heartbeat* heartbeat,
                  std::chrono::steady_clock::time_point start) {
  const RunIdentity identity = run_identity(run);
  std::optional<Beginning> beginning;
  if (run.ranks->is_first()) beginning.emplace(run, identity, request);
  if (run.ranks->broadcast(beginning && beginning->is_finished)) {
    if (beginning)
      deliver_late(run.config.train.output_dir, run.config.logging, beginning->resume_from->step);
    return;
  }
  const auto resume_from = same_checkpoint(*run.ranks, beginning);
  if (beginning) {
    beginning->folder.write_start();
    write_missing_tokens(run);
    log_info(describe_start(run, request.launch.sharing_ranks));
    if (run.objective->reads_reference()) log_info("reference: " + describe_reference(run));
  }
  const Outcome outcome = train_and_export(run, identity, stop, early, resume_from, heartbeat);
  if (beginning) {
    beginning->folder.write_end(
        outcome.step, outcome.best ? &*outcome.best : nullptr,
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  run.ranks->barrier();  // none goes on to what reads the record before it is there
}

std::string train(config::RunConfig config, const TrainRequest& request, dist::Rank* rank) {
  const auto start = std::chrono::steady_clock::now();
  const StopFlag stop(config.checkpoint.save_before_timeout_s);
  LoadedRun run = load(std::move(config), request, stop);
  // What every checkpoint will hold; a folder that cannot be exported is better refused now.
  policy_files(run, run.adapter ? run.adapter->tensors : run.base_model.tensors);
  check_final_gguf(run);
  refuse_links(run.config.train.output_dir);
  check_sinks(run.config.logging);
  failpoint("train.loaded");
  if (request.dry_run) {
    stop.leave_if_requested(dist::alone());
    return request.launch.rank == 0 ? describe_plan(run, request.launch) : "";
  }
  if (rank != nullptr) meet_others(run, *rank);
  std::optional<Ownership> ownership;
  if (run.ranks->is_first()) ownership.emplace(run);
  if (rank != nullptr) rank->keep_record_in(run.output("flight_recorder"));
  stop.leave_if_requested(*run.ranks);

  std::optional<Interruptible> early([&stop] { return stop.requested(); });
  try {
    train_loaded(run, request, stop, early, ownership ? &ownership->heartbeat : nullptr, start);
  } catch (const Interrupted&) {
    stop.leave_before_first_step();
  }
  return "";
}

// A fit that has ended is left as it is; it has to be the one that is asked for.
void check_ended_fit(config::RunConfig fit, const TrainRequest& request) {
  const StopFlag stop(fit.checkpoint.save_before_timeout_s);
  const LoadedRun run = load(std::move(fit), request, stop);
  check_is_same_run(read_run_record(run.config.train.output_dir).value("run", Json::object()),
                    run_identity(run));
}

// What is wrong with the run itself is found before its reference is fitted.
void fit_reference(const config::RunConfig& config, TrainRequest request, dist::Rank* rank) {
  config::RunConfig fit = fit_config(config);
  log_info("reference.fit: the run in " + fit.train.output_dir);
  if (fitted_model(config)) return check_ended_fit(std::move(fit), request);
  if (request.resume != "never") request.resume = "auto";  // a checkpoint's folder is the run's
  if (!request.dry_run) {
    check_fit_comes_first(config);
    TrainRequest check = request;
    check.dry_run = true;
    train(config, check, nullptr);
  }
  train(std::move(fit), request, rank);
}

// Of the run that a start works on first.
std::string first_output_dir(const config::RunConfig& config) {
  const bool fits_first = fits_reference(config) && !fitted_model(config);
  return (fits_first ? fit_config(config) : config).train.output_dir;
}

std::string fit_and_train(config::RunConfig config, const TrainRequest& request, dist::Rank* rank) {
  const train::NvtxScope ranges(train::nvtx_ranges_wanted());
  if (request.launch.rank == 0 && !request.dry_run) begin_start(first_output_dir(config));
  if (fits_reference(config)) fit_reference(config, request, rank);
  return train(std::move(config), request, rank);
}

void warn_of_shard(const dist::DistributedOptions& options, const dist::Launch& launch) {
  if (launch.size > 1 || options.shard == dist::DistributedOptions().shard) return;
  log_warning("[distributed.shard] has no effect: there is one rank");
}

// Parts are of what is computed with.
void warn_of_base_dtype(const config::RunConfig& config, const dist::Launch& launch) {
  if (launch.size == 1 || config.distributed.shard != dist::Shard::kFull) return;
  if (config.model.base_dtype == models::BaseDType::kAuto) return;
  log_warning(
      "[model.base_dtype] has no effect: with distributed.shard full each rank has a part of the weights "
      "in the type that the run computes in");
}

void check_optim(const config::RunConfig& config, const dist::Launch& launch) {
  const train::Optim optim = config.optimizer.optim;
  if (launch.size == 1 || config.distributed.shard == dist::Shard::kNone) return;
  if (!train::needs_whole_tensors(optim)) return;
  throw input_error(std::string("[distributed.shard] ") + enum_name(config.distributed.shard) +
                    " gives each rank a part of every tensor, but " + enum_name(optim) +
                    " updates whole ones; write distributed.shard: none");
}

}  // namespace

std::string train_run(config::RunConfig config, const TrainRequest& request) {
  const dist::Launch& launch = request.launch;
  warn_of_shard(config.distributed, launch);
  warn_of_base_dtype(config, launch);
  check_optim(config, launch);
  if (launch.size == 1 || request.dry_run) return fit_and_train(std::move(config), request, nullptr);
  if (config.distributed.backend == dist::Backend::kNone) {
    throw input_error("[distributed.backend] none is for one process; got " + std::to_string(launch.size) +
                      " ranks, expected auto, gloo or nccl");
  }
  at::set_num_threads(plan_threads(launch.sharing_ranks).count);
  dist::Rank rank(launch, config.distributed);
  rank.run([&] { fit_and_train(std::move(config), request, &rank); });
  return "";
}

}  // namespace ddro::run
