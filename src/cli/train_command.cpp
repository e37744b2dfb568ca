#include "ddro/run/train_run.h"

#include <torch/cuda.h>

#include <charconv>
#include <memory>
#include <optional>
#include <utility>

#include "cli/commands.h"
#include "cli/output.h"
#include "ddro/base/log.h"
#include "ddro/dist/launch.h"
#include "ddro/dist/rank.h"
#include "ddro/dist/start_ranks.h"

namespace ddro::cli {
namespace {

struct TrainArguments {
  std::string config;
  std::vector<std::string> overrides;
  std::string resume = "auto";
  std::vector<std::string> allow_change;
  bool dry_run = false;
  std::optional<std::string> nproc;
};

// A number of ranks, or one for each GPU of the machine.
int num_ranks(const std::string& nproc) {
  const int num_devices = torch::cuda::device_count();
  if (nproc == "gpu" && num_devices > 0) return num_devices;
  int count = 0;
  const auto [end, error] = std::from_chars(nproc.data(), nproc.data() + nproc.size(), count);
  constexpr int kMost = 1024;
  if (error != std::errc() || end != nproc.data() + nproc.size() || count < 1 || count > kMost) {
    throw option_error("--nproc", printable(nproc),
                       nproc == "gpu" ? "a machine with GPUs" : "gpu or an integer from 1 to 1024");
  }
  if (num_devices > 0 && count > num_devices) {
    throw option_error("--nproc", nproc,
                       "at most a rank for each of the " + std::to_string(num_devices) + " GPUs");
  }
  return count;
}

// This process's place; for --nproc --dry-run, that of the first rank.
dist::Launch launch_of(const TrainArguments& arguments) {
  dist::Launch launch = dist::read_launch(dist::environment());
  if (!arguments.nproc || launch.started_by_nproc) return launch;
  if (launch.size > 1) {
    throw input_error("[--nproc] starts ranks by itself, but this process is one of " +
                      std::to_string(launch.size) + " that were started together; leave it out");
  }
  launch.size = launch.local_size = launch.sharing_ranks = num_ranks(*arguments.nproc);
  return launch;
}

std::set<std::string> checked_changes(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (!run::allowable_changes().contains(name)) {
      throw input_error("[--allow-change] unknown name \"" + printable(name) +
                        "\"; known: data, tokenizer, template, base_model, loss, reference");
    }
  }
  return {names.begin(), names.end()};
}

// What all ranks do alike, and what starts them, is said by the first.
void speak_as(const dist::Launch& launch, bool is_starter) {
  if (launch.rank > 0 || is_starter) set_log_level(LogLevel::kError);
  if (launch.rank > 0) set_log_prefix("rank " + std::to_string(launch.rank) + ": ");
}

void run_train(const TrainArguments& arguments) {
  const dist::Launch launch = launch_of(arguments);
  const bool is_starter = launch.size > 1 && launch.port == 0 && !arguments.dry_run;
  speak_as(launch, is_starter);
  if (launch.size == 1 && !launch.warning.empty()) log_warning(launch.warning);
  const auto changes = checked_changes(arguments.allow_change);
  config::RunConfig config = config::load_run_config(arguments.config, arguments.overrides);
  if (is_starter) {
    const std::chrono::seconds timeout(config.distributed.timeout_s);
    if (const int code = dist::start_ranks(launch.size, timeout); code != 0) throw dist::EndedByOther{code};
    return;
  }
  print(run::train_run(std::move(config), {.resume = arguments.resume,
                                           .allowed_changes = changes,
                                           .dry_run = arguments.dry_run,
                                           .launch = launch}));
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
  command
      ->add_option("--nproc", arguments->nproc,
                   "Starts so many ranks on this machine, which share the work; gpu: one for each GPU")
      ->type_name("N|gpu");
  command->callback([arguments] { run_train(*arguments); });
}

}  // namespace ddro::cli
