#include "cli/commands.h"
#include "cli/output.h"
#include "ddro/data/known_inputs.h"

namespace ddro::cli {
namespace {

void print_inputs(const char* name, const char* description, const std::vector<data::KnownInput>& inputs) {
  std::vector<std::vector<std::string>> rows = {{name, description, "test"}};
  for (const data::KnownInput& input : inputs)
    rows.push_back({"`" + input.name + "`", input.description, "`" + input.test + "`"});
  print_table(rows);
}

}  // namespace

void add_inspect_formats_command(CLI::App& inspect) {
  inspect.add_subcommand("formats", "List the data files that can be read, as Markdown")->callback([] {
    print_inputs("file", "holds", data::known_formats());
  });
}

void add_inspect_layouts_command(CLI::App& inspect) {
  inspect.add_subcommand("layouts", "List the layouts of rows that are recognised, as Markdown")
      ->callback([] { print_inputs("`data.layout`", "rows", data::known_layouts()); });
}

}  // namespace ddro::cli
