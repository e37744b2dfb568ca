#include "ddro/run/evaluate_run.h"

#include <filesystem>

#include "ddro/base/log.h"
#include "ddro/checkpoint/checkpoint.h"
#include "ddro/run/setup.h"
#include "run/evaluator.h"
#include "run/fit_reference.h"
#include "run/metrics_file.h"
#include "run/reference.h"

namespace ddro::run {
namespace {

namespace fs = std::filesystem;

// The run's exported model, else its newest checkpoint.
fs::path model_to_evaluate(const std::optional<std::string>& model, const fs::path& output_dir) {
  if (model) return models::resolve_model_path(*model);
  if (models::is_model_folder(output_dir / "final")) return output_dir / "final";
  const auto newest = checkpoint::newest_checkpoint(output_dir / "checkpoints");
  if (!newest) {
    throw input_error("[eval] " + output_dir.string() +
                      " holds neither final/ nor a checkpoint; train first or give --model");
  }
  return newest->path;
}

}  // namespace

Json evaluate_run(config::RunConfig config, const std::optional<std::string>& model) {
  if (config.data.eval_files.empty()) throw input_error("[data.eval_files] is empty; nothing to evaluate");
  const fs::path path = model_to_evaluate(model, config.train.output_dir);
  LoadedRun run = load_run(std::move(config));
  if (awaits_fit(run)) {
    throw input_error("[reference.fit] " + run.output(kReferenceRun).string() +
                      " holds no model yet, which is the reference; train first");
  }
  const models::ModelFolder folder = models::open_model_folder(path);
  check_same_ids(folder, run.base_model, *run.text.tokenizer);
  log_info("evaluating " + path.string());
  const auto reference = prepare_evaluation_reference(run);
  const auto policy = run.build_frozen(folder);
  Json result = {{"model", path.string()}};
  for (train::EvaluationSet& set : make_evaluation_sets(run)) {
    const auto evaluation = set.evaluate(*policy, *run.objective, [] { return false; });
    losses::Metrics named;
    for (const auto& [name, value] : evaluation->metrics)
      named.emplace_back("eval_" + set.name() + "_" + name, value);
    result.update(metrics_json(named));
  }
  return result;
}

}  // namespace ddro::run
