#include "ddro/run/train_run.h"

#include <memory>

#include "cli/commands.h"
#include "cli/output.h"

namespace ddro::cli {
namespace {

struct TrainArguments {
  std::string config;
  std::vector<std::string> overrides;
  std::string resume = "auto";
  std::vector<std::string> allow_change;
  bool dry_run = false;
};

std::set<std::string> checked_changes(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (!run::allowable_changes().contains(name)) {
      throw input_error("[--allow-change] unknown name \"" + printable(name) +
                        "\"; known: data, tokenizer, template, base_model, loss, reference");
    }
  }
  return {names.begin(), names.end()};
}

void run_train(const TrainArguments& arguments) {
  print(run::train_run(config::load_run_config(arguments.config, arguments.overrides),
                       {.resume = arguments.resume,
                        .allowed_changes = checked_changes(arguments.allow_change),
                        .dry_run = arguments.dry_run}));
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
