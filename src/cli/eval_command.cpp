
#include <memory>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/run_plan.h"
#include "cli/run_reference.h"
#include "ddro/base/log.h"
#include "ddro/checkpoint/checkpoint.h"
#include "ddro/train/evaluation.h"
#include "ddro/train/metrics_file.h"

namespace ddro::cli {
namespace {

namespace fs = std::filesystem;

struct EvalArguments {
  std::string config;
  std::vector<std::string> overrides;
  std::string model;
};

// The run's exported model, else its newest checkpoint.
fs::path model_to_evaluate(const EvalArguments& arguments, const fs::path& output_dir) {
  if (!arguments.model.empty()) return models::resolve_model_path(arguments.model);
  std::error_code ignored;
  if (fs::exists(output_dir / "final" / "config.json", ignored)) return output_dir / "final";
  const auto newest = checkpoint::newest_checkpoint(output_dir / "checkpoints");
  if (!newest) {
    throw input_error("[eval] " + output_dir.string() +
                      " holds neither final/ nor a checkpoint; train first or give --model");
  }
  return newest->path;
}

void run_eval(const EvalArguments& arguments) {
  const config::RunConfig config = config::load_run_config(arguments.config, arguments.overrides);
  if (config.data.eval_files.empty()) throw input_error("[data.eval_files] is empty; nothing to evaluate");
  const fs::path path = model_to_evaluate(arguments, config.train.output_dir);
  const LoadedRun run = load_run(config, fixed_template_date(config.train.output_dir));
  const models::ModelFolder folder = models::open_model_folder(path);
  if (folder.config.vocab_size != run.base_model.config.vocab_size) {
    throw model_error("[" + path.string() + "] has another vocabulary than the run's model");
  }
  log_info("evaluating " + path.string());
  const RunReference reference = evaluation_reference(config, run);
  const auto model =
      build_model(folder, run.device, run.dtype, /*trainable=*/false, /*gradient_checkpointing=*/false);
  losses::Metrics all;
  for (size_t i = 0; i < run.eval_sets.size(); ++i) {
    const auto& [name, set] = run.eval_sets[i];
    train::EvaluationSet evaluation(name, set, {.micro_batch_tokens = config.train.micro_batch_tokens},
                                    reference.eval_sets[i]);
    const auto metrics = evaluation.evaluate(*model, *run.objective, [] { return false; });
    for (const auto& [key, value] : *metrics) all.emplace_back("eval_" + name + "_" + key, value);
  }
  Json result = {{"model", path.string()}};
  result.update(train::metrics_json(all));
  print_line(result.dump(1));
}

}  // namespace

void add_eval_command(CLI::App& app) {
  auto arguments = std::make_shared<EvalArguments>();
  CLI::App* command =
      app.add_subcommand("eval", "Metrics of a model on a run's evaluation files, as one JSON object");
  command->add_option("config", arguments->config, "The run's YAML file")->required();
  command
      ->add_option("--set", arguments->overrides,
                   "section.key=value, in place of the file's; may be repeated")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  command->add_option("--model", arguments->model,
                      "Model folder (default: the run's final/, else its newest checkpoint)");
  command->callback([arguments] { run_eval(*arguments); });
}

}  // namespace ddro::cli
