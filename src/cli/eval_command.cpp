#include "ddro/run/evaluate_run.h"

#include <memory>

#include "cli/commands.h"
#include "cli/output.h"

namespace ddro::cli {
namespace {

struct EvalArguments {
  std::string config;
  std::vector<std::string> overrides;
  std::string model;
};

void run_eval(const EvalArguments& arguments) {
  const auto model = arguments.model.empty() ? std::nullopt : std::optional(arguments.model);
  print_line(
      run::evaluate_run(config::load_run_config(arguments.config, arguments.overrides), model).dump(1));
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
