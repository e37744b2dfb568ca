#include <memory>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/output.h"
#include "ddro/report/status.h"

namespace ddro::cli {
namespace {

struct StatusArguments {
  std::vector<std::string> runs;
  bool json = false;
};

void run_status(const StatusArguments& arguments) {
  for (const std::string& folder : arguments.runs) {
    const report::RunStatus status = report::read_status(folder);
    print_line(arguments.json ? status.to_json().dump() : status.describe());
  }
}

}  // namespace

void add_status_command(CLI::App& app) {
  auto arguments = std::make_shared<StatusArguments>();
  CLI::App* command =
      app.add_subcommand("status", "Where runs are: alive or not, step, speed, time left, disk");
  command->add_option("runs", arguments->runs, "Folders of runs (their train.output_dir)")->required();
  command->add_flag("--json", arguments->json, "One JSON object a run and line");
  command->callback([arguments] { run_status(*arguments); });
}

}  // namespace ddro::cli
