#include "cli/commands.h"
#include "cli/output.h"
#include "ddro/config/run_config.h"

namespace ddro::cli {

void add_config_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("config", "Print a configuration with every key, its default and its help");
  command->callback([] { print(config::dump_run_config(config::example_run_config(), true)); });
}

}  // namespace ddro::cli
