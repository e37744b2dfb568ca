#include "cli/commands.h"
#include "cli/output.h"
#include "ddro/models/model_config.h"

namespace ddro::cli {

void add_inspect_families_command(CLI::App& inspect) {
  CLI::App* command =
      inspect.add_subcommand("families", "List the model families that can be trained, as Markdown");
  command->callback([] {
    std::vector<std::vector<std::string>> rows = {{"`model_type`", "models", "parity test"}};
    for (const models::KnownFamily& family : models::known_families()) {
      rows.push_back({"`" + family.model_type + "`", family.models,
                      "`CausalLmParity.*/" + family.model_type + "(_.*)?$`"});
    }
    print_table(rows);
  });
}

}  // namespace ddro::cli
