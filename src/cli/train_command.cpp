#include <ATen/Parallel.h>
#include <torch/torch.h>
#include <torch/version.h>

#include <chrono>
#include <memory>
#include <set>

#include "cli/commands.h"
#include "cli/output.h"

#include "cli/run_plan.h"
#include "cli/run_reference.h"
#include "cli/run_setup.h"
#include "cli/summaries.h"
#include "cli/version.h"
#include "ddro/base/files.h"
#include "ddro/base/log.h"
#include "ddro/checkpoint/checkpoint.h"
#include "ddro/config/run_config.h"
#include "ddro/train/schedule.h"
#include "ddro/train/trainer.h"

namespace ddro::cli {
namespace {

namespace fs = std::filesystem;

struct TrainArguments {
  std::string config;
  std::vector<std::string> overrides;
  std::string resume = "auto";
  std::vector<std::string> allow_change;
  bool dry_run = false;
};

std::optional<checkpoint::Checkpoint> find_checkpoint(const std::string& resume, const fs::path& output_dir) {
  const fs::path checkpoints = output_dir / "checkpoints";
  if (resume == "never") {
    std::error_code ignored;
    for (const char* trace : {"checkpoints", "final", "metrics.jsonl"}) {
      if (fs::exists(output_dir / trace, ignored)) {
        throw input_error("[train.output_dir] " + output_dir.string() + " holds a run (" + trace +
                          "); --resume never needs another folder");
      }
    }
    return std::nullopt;
  }
  if (resume == "auto") return checkpoint::newest_checkpoint(checkpoints);
  checkpoint::Checkpoint chosen = checkpoint::open_checkpoint(resume);
  return chosen;
}

// The objective with alpha as resolved: `auto` on other data is another loss.
std::string resolved_objective(losses::ObjectiveOptions options, const losses::Objective& objective) {
  if (losses::uses_option(options, "alpha")) options.alpha = objective.alpha();
  return config::describe_objective(options);
}

train::RunIdentity run_identity(const config::RunConfig& config, const LoadedRun& run) {
  const data::DataOptions& data = config.data;
  train::RunIdentity identity;
  identity["data"] = {run.train_set.content_hash, static_cast<int>(data.on_overlength),
                      static_cast<int>(data.on_bad_row), data.parse_control_tokens};
  identity["tokenizer"] = run.text.tokenizer_hash;
  identity["template"] = run.text.template_hash;
  identity["base_model"] = run.base_model.weights_hash;
  identity["loss"] = resolved_objective(config.objective, *run.objective);
  identity["reference"] = run.reference_hash();
  identity["seed"] = config.train.seed;
  identity["train_batch_size"] = config.train.train_batch_size;
  identity["max_length"] = data.max_length;
  identity["micro_batch_tokens"] = config.train.micro_batch_tokens;
  identity["total_steps"] = run.total_steps;
  identity["learning_rate"] = config.optimizer.learning_rate;
  identity["lr_scheduler_type"] = train::schedule_name(config.optimizer.lr_scheduler_type);
  identity["warmup_steps"] = train::num_warmup_steps(config.optimizer, run.total_steps);
  identity["weight_decay"] = config.optimizer.weight_decay;
  identity["adam"] = {config.optimizer.adam_beta1, config.optimizer.adam_beta2,
                      config.optimizer.adam_epsilon};
  identity["max_grad_norm"] = config.optimizer.max_grad_norm;
  identity["moment_dtype"] = train::moment_dtype_name(config.optimizer.moment_dtype);
  identity["save_steps"] = config.checkpoint.save_steps;
  identity["logging_steps"] = config.logging.logging_steps;
  identity["output_dir"] = config.train.output_dir;
  identity["libtorch"] = TORCH_VERSION;
  identity["device"] = run.device.is_cuda() ? "cuda" : "cpu";
  identity["dtype"] = dtype_label(run.dtype);
  identity["threads"] = at::get_num_threads();
  identity["reference_log_probs"] = reference_source(config, run);
  return identity;
}

const train::RunIdentity& stored_identity(const checkpoint::Checkpoint& from) {
  const auto found = from.manifest.find("run");
  if (found == from.manifest.end() || !found->is_object()) {
    throw model_error("[" + from.path.string() + "/manifest.json] does not say which run it is of");
  }
  return *found;
}

class RunFolder {
 public:
  RunFolder(const config::RunConfig& config, Json record)
      : path_(config.train.output_dir), record_(std::move(record)) {}

  void write_start(const config::RunConfig& config, const LoadedRun& run,
                   const train::RunIdentity& identity) {
    write_file_atomic(path_ / "config.yaml", config::dump_run_config(config, /*with_help=*/false));
    record_ = {{"version", version_text()},
               {"template_date", run.now},
               {"run", identity},
               {"finished_step", nullptr}};
    write_record();
    std::vector<std::pair<std::string, std::vector<data::DroppedRow>>> dropped{
        {"train", run.train_set.dropped}};
    for (const auto& [name, set] : run.eval_sets) dropped.emplace_back(name, set.dropped);
    data::write_dropped_rows((path_ / "dropped.jsonl").string(), dropped);
  }

  void write_end(std::int64_t step, double seconds) {
    record_["finished_step"] = step;
    record_["train_runtime"] = seconds;
    write_record();
  }

 private:
  void write_record() { write_file_atomic(path_ / "run.json", record_.dump(1) + "\n"); }

  fs::path path_;
  Json record_;
};

bool is_finished(const Json& record, const std::optional<checkpoint::Checkpoint>& newest,
                 std::int64_t total_steps, const fs::path& output_dir) {
  std::error_code ignored;
  return newest && newest->step >= total_steps && record.is_object() &&
         record.value("finished_step", Json()) == newest->step &&
         fs::exists(output_dir / "final" / "config.json", ignored);
}

std::set<std::string> checked_changes(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (!train::allowable_changes().contains(name)) {
      throw input_error("[--allow-change] unknown name \"" + printable(name) +
                        "\"; known: data, tokenizer, template, base_model, loss, reference");
    }
  }
  return {names.begin(), names.end()};
}

void run_train(const TrainArguments& arguments) {
  const auto start = std::chrono::steady_clock::now();
  const config::RunConfig config = config::load_run_config(arguments.config, arguments.overrides);
  const train::StopFlag stop(config.checkpoint.save_before_timeout_s);
  const std::set<std::string> allowed = checked_changes(arguments.allow_change);
  const fs::path output_dir = config.train.output_dir;
  Json record = read_run_record(output_dir);
  const LoadedRun run = load_run(config, fixed_template_date(output_dir));
  failpoint("train.loaded");
  stop.leave_if_requested();
  if (arguments.dry_run) {
    print(describe_plan(config, run));
    return;
  }

  make_folder(output_dir);
  const checkpoint::RunLock lock(output_dir);
  const auto resume_from = find_checkpoint(arguments.resume, output_dir);
  if (arguments.resume == "auto" && is_finished(record, resume_from, run.total_steps, output_dir)) {
    log_info("the run in " + output_dir.string() + " is finished (" + std::to_string(run.total_steps) +
             " steps); its model is " + (output_dir / "final").string());
    return;
  }
  const train::RunIdentity identity = run_identity(config, run);
  if (resume_from) {
    train::check_identity(stored_identity(*resume_from), identity, allowed);
    if (arguments.resume != "auto")
      checkpoint::set_aside_after(output_dir / "checkpoints", resume_from->step);
  }
  RunFolder folder(config, std::move(record));
  folder.write_start(config, run, identity);
  write_missing_tokens(run);

  log_info(describe_start(config, run));
  const RunReference reference = prepare_reference(config, run, stop);
  const auto policy = build_model(run.base_model, run.device, run.dtype, /*trainable=*/true,
                                  config.model.gradient_checkpointing);
  failpoint("train.built");
  std::vector<train::EvaluationSet> eval_sets;
  for (size_t i = 0; i < run.eval_sets.size(); ++i) {
    const auto& [name, set] = run.eval_sets[i];
    eval_sets.emplace_back(name, set,
                           data::PackOptions{.micro_batch_tokens = config.train.micro_batch_tokens},
                           reference.eval_sets[i]);
  }
  train::Trainer trainer({.policy = *policy,
                          .reference = reference.train_set.get(),
                          .base_model = run.base_model,
                          .reference_is_base = !run.reference_model,
                          .train_set = run.train_set,
                          .eval_sets = std::move(eval_sets),
                          .objective = *run.objective,
                          .samples = {run.prompts, run.text.tokenizer.get(), run.text.end_ids},
                          .stop = stop,
                          .identity = identity},
                         {config.train, config.optimizer, config.eval, config.checkpoint, config.logging},
                         resume_from);
  run.base_model.release_pages();
  trainer.run();
  folder.write_end(run.total_steps,
                   std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

}  // namespace

void add_train_command(CLI::App& app) {
  auto arguments = std::make_shared<TrainArguments>();
  CLI::App* command = app.add_subcommand("train", "Align a model with preference data");
  command->add_option("config", arguments->config, "The run's YAML file")->required();
  command
      ->add_option("--set", arguments->overrides,
                   "section.key=value, in place of the file's; may be repeated")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  command->add_option(
      "--resume", arguments->resume,
      "auto: the newest valid checkpoint of the output folder, if any; never; or a checkpoint's folder");
  command
      ->add_option("--allow-change", arguments->allow_change,
                   "Goes on although this has changed since the checkpoint: data, tokenizer, template, "
                   "base_model, loss, reference; may be repeated")
      ->allow_extra_args(false)
      ->type_name("NAME");
  command->add_flag("--dry-run", arguments->dry_run,
                    "Checks everything that needs no training, prints the plan, exits");
  command->callback([arguments] { run_train(*arguments); });
}

}  // namespace ddro::cli
