#include "run/fit_reference.h"

#include "ddro/models/model_path.h"
#include "ddro/train/schedule.h"

namespace ddro::run {
namespace {

namespace fs = std::filesystem;

fs::path fit_folder(const config::RunConfig& config) {
  return fs::path(config.train.output_dir) / kReferenceRun;
}

// The same alpha: the mixture that the run's loss takes the reference for.
losses::ObjectiveOptions mixture_objective(const losses::ObjectiveOptions& objective) {
  losses::ObjectiveOptions options;
  options.loss_type = losses::LossType::kMixtureNll;
  if (losses::uses_option(objective, "alpha")) options.alpha = objective.alpha;
  return options;
}

// Held-out rows show from where on the training rows are only learnt by heart.
train::EvalOptions fit_evaluation(const config::RunConfig& config) {
  train::EvalOptions eval = config.eval;
  eval.prompts.reset();
  eval.metric_for_best_model.reset();
  eval.greater_is_better.reset();
  eval.early_stopping_patience = 0;
  if (eval.eval_strategy == IntervalStrategy::kNo || config.data.eval_files.empty()) return eval;
  eval.metric_for_best_model = "eval_" + config.data.eval_files.begin()->first + "_loss";
  eval.early_stopping_patience = config.reference.fit.early_stopping_patience;
  return eval;
}

}  // namespace

bool fits_reference(const config::RunConfig& config) {
  return config.reference.fit.num_train_epochs > 0 && losses::needs_reference(config.objective.loss_type);
}

bool awaits_fit(const LoadedRun& run) { return fits_reference(run.config) && !run.fitted; }

config::RunConfig fit_config(const config::RunConfig& config) {
  if (config.adapter.adapter_name_or_path) {
    throw input_error("[reference.fit] trains a model to be the reference; got " +
                      printable(*config.adapter.adapter_name_or_path, 400) +
                      " as adapter.adapter_name_or_path, expected null; merge that adapter first "
                      "(ddro-train export)");
  }
  config::RunConfig fit = config;
  fit.reference = {};
  fit.objective = mixture_objective(config.objective);
  fit.eval = fit_evaluation(config);
  fit.train.output_dir = fit_folder(config).string();
  fit.train.num_train_epochs = config.reference.fit.num_train_epochs;
  fit.train.max_steps = -1;
  fit.optimizer.learning_rate = config.reference.fit.learning_rate;
  fit.checkpoint.save_total_limit = 1;  // they stay when it has ended
  fit.final_model = {};
  fit.final_model.adapter = models::AdapterExport::kMerged;
  if (!fit.data.token_cache_dir)
    fit.data.token_cache_dir = (fs::path(config.train.output_dir) / "token_cache").string();
  return fit;
}

std::optional<fs::path> fitted_model(const config::RunConfig& config) {
  const fs::path folder = fit_folder(config);
  const Json record = read_run_record(folder);
  if (!record.is_object() || record.value("finished_step", Json()).is_null()) return std::nullopt;
  for (const char* name : {"best", "final"}) {
    if (models::is_model_folder(folder / name)) return folder / name;
  }
  return std::nullopt;
}

void check_fit_comes_first(const config::RunConfig& config) {
  if (read_run_record(config.train.output_dir).is_null()) return;
  throw input_error("[reference.fit] " + printable(config.train.output_dir, 400) +
                    " holds a run with another reference; expected a run that begins with the fit, or its "
                    "model in " +
                    printable(fit_folder(config).string(), 400) + "; use another train.output_dir");
}

std::string describe_fit(const LoadedRun& run) {
  if (!awaits_fit(run)) return "";
  const config::RunConfig fit = fit_config(run.config);
  std::string text =
      "reference fit: at most " + std::to_string(train::num_total_steps(fit.train, run.steps_per_epoch)) +
      " steps on the rows of both classes, learning rate " + printable(fit.optimizer.learning_rate, "%g");
  if (!fit.eval.metric_for_best_model) return text + "; no held-out rows end it early\n";
  text += "; the best model by " + *fit.eval.metric_for_best_model;
  if (const std::int64_t patience = fit.eval.early_stopping_patience; patience > 0)
    text += ", it ends after " + std::to_string(patience) + " evaluations that are no better";
  return text + "\n";
}

}  // namespace ddro::run
