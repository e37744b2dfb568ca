#include <memory>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/output.h"
#include "ddro/base/files.h"
#include "ddro/report/page.h"

namespace ddro::cli {
namespace {

struct ReportArguments {
  std::vector<std::string> runs;
  std::string out = "report.html";
};

void run_report(const ReportArguments& arguments) {
  check_out(arguments.out);
  write_file_atomic(arguments.out,
                    report::render_page(report::read_runs({arguments.runs.begin(), arguments.runs.end()})));
  print_line(arguments.out);
}

}  // namespace

void add_report_command(CLI::App& app) {
  auto arguments = std::make_shared<ReportArguments>();
  CLI::App* command =
      app.add_subcommand("report", "One HTML page with charts and tables of one or several runs");
  command->add_option("runs", arguments->runs, "Folders of runs (their train.output_dir)")->required();
  command->add_option("--out", arguments->out, "File to write")->capture_default_str();
  command->callback([arguments] { run_report(*arguments); });
}

}  // namespace ddro::cli
