#include "ddro/run/train_run.h"

#include <chrono>

#include "ddro/base/files.h"
#include "ddro/base/log.h"
#include "ddro/run/plan.h"
#include "ddro/run/setup.h"
#include "run/final_model.h"
#include "run/policy_files.h"
#include "run/reference.h"
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

// The weights of a frozen base; a live reference that computes with the same ones lends its own.
NamedTensors base_tensors(const LoadedRun& run, const models::CausalLm* reference) {
  if (!run.adapter || !reference || run.reference_model) return run.base_model.tensors;
  NamedTensors tensors = reference->parameters();
  std::erase_if(tensors, [](const auto& named) { return named.first.starts_with(models::kAdapterPrefix); });
  return tensors;
}

std::unique_ptr<models::CausalLm> build_policy(const LoadedRun& run, const models::CausalLm* reference) {
  return models::make_causal_lm(run.base_model.spec, base_tensors(run, reference),
                                {.device = run.device,
                                 .dtype = run.dtype,
                                 .trainable = true,
                                 .adapter = run.adapter ? &*run.adapter : nullptr,
                                 .gradient_checkpointing = run.config.model.gradient_checkpointing});
}

// From the first step, or that of `resume_from`, to the exported model.
void train_and_export(LoadedRun& run, const RunIdentity& identity, const StopFlag& stop,
                      const std::optional<checkpoint::Checkpoint>& resume_from) {
  const auto reference = prepare_reference(run, stop);
  const auto policy = build_policy(run, reference.get());
  failpoint("train.built");
  std::vector<train::Evaluation> last;
  {
    Training training(run, *policy, stop, identity, resume_from);
    run.base_model.release_pages();
    training.run();
    export_final(run, training.weights());
    last = training.last_evaluation();
  }
  verify_final(run, *policy, last, stop);
}

}  // namespace

std::string train_run(config::RunConfig config, const TrainRequest& request) {
  const auto start = std::chrono::steady_clock::now();
  const StopFlag stop(config.checkpoint.save_before_timeout_s);
  LoadedRun run = load_run(std::move(config));
  // What every checkpoint will hold; a folder that cannot be exported is better refused now.
  policy_files(run, run.adapter ? run.adapter->tensors : run.base_model.tensors);
  failpoint("train.loaded");
  stop.leave_if_requested();
  if (request.dry_run) return describe_plan(run);

  const std::filesystem::path output_dir = run.config.train.output_dir;
  make_folder(output_dir);
  const checkpoint::RunLock lock(output_dir);
  const RunIdentity identity = run_identity(run);
  RunFolder folder(run, identity, read_run_record(output_dir));
  const auto resume_from = find_checkpoint(request.resume, run);
  if (request.resume == "auto" && resume_from && folder.is_finished(resume_from->step)) {
    log_info("the run in " + output_dir.string() + " is finished (" + std::to_string(resume_from->step) +
             " steps); its model is " + run.output("final").string());
    return "";
  }
  if (resume_from) {
    check_checkpoint(*resume_from, run, identity, request.allowed_changes);
    if (request.resume != "auto") checkpoint::set_aside_after(run.output("checkpoints"), resume_from->step);
  }
  folder.write_start();
  write_missing_tokens(run);
  log_info(describe_start(run));
  if (run.objective->reads_reference()) log_info("reference: " + describe_reference(run));
  train_and_export(run, identity, stop, resume_from);
  folder.write_end(run.total_steps,
                   std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return "";
}

}  // namespace ddro::run
