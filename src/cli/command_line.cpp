#include "ddro/cli/command_line.h"

#include <cstdio>
#include <string>

#include "cli/commands.h"
#include "cli/output.h"
#include "ddro/base/error.h"
#include "ddro/run/version.h"

namespace ddro::cli {
namespace {

constexpr int kUsageError = static_cast<int>(ErrorKind::kInput);

void add_commands(CLI::App& app) {
  add_train_command(app);
  add_eval_command(app);
  add_score_command(app);
  add_generate_command(app);
  add_export_command(app);
  add_report_command(app);
  add_status_command(app);
  add_loss_command(app);
  add_tokenize_command(app);
  add_config_command(app);
  add_doctor_command(app);
  CLI::App* inspect = app.add_subcommand("inspect", "Show what is in a file or folder");
  inspect->require_subcommand(1);
  add_inspect_data_command(*inspect);
  add_inspect_model_command(*inspect);
  add_inspect_families_command(*inspect);
  add_inspect_formats_command(*inspect);
  add_inspect_layouts_command(*inspect);
  add_inspect_checkpoint_command(*inspect);
  add_inspect_cache_command(*inspect);
}

}  // namespace

int run_command_line(int argc, char** argv) {
  CLI::App app("Aligns language models from preference data by direct density ratio optimization.",
               "ddro-train");
  app.set_version_flag("--version", run::version_text());
  app.require_subcommand(1);
  add_commands(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    app.exit(success);
    flush_output();
    return 0;
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "ddro-train: error: [usage] %s; see ddro-train --help\n",
                 printable(error.what(), 4000).c_str());
    return kUsageError;
  }
  flush_output();
  return 0;
}

}  // namespace ddro::cli
