#include <memory>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/output.h"
#include "ddro/base/log.h"
#include "ddro/report/status.h"

namespace ddro::cli {
namespace {

struct StatusArguments {
  std::vector<std::string> runs;
  bool json = false;
};

void print_status(const std::string& folder, bool json) {
  const report::RunStatus status = report::read_status(folder);
  print_line(json ? status.to_json().dump() : status.describe());
}

// One folder of many that is no run's hides no other.
void run_status(const StatusArguments& arguments) {
  size_t failed = 0;
  for (const std::string& folder : arguments.runs) {
    try {
      print_status(folder, arguments.json);
    } catch (const Error& error) {
      if (arguments.runs.size() == 1) throw;
      log_warning(error.what());
      ++failed;
    }
  }
  if (failed == arguments.runs.size()) throw input_error("[status] none of the folders is a run's");
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
