#include "cli/commands.h"
#include "cli/output.h"
#include "ddro/models/model_config.h"

namespace ddro::cli {

void add_inspect_families_command(CLI::App& inspect) {
  CLI::App* command =
      inspect.add_subcommand("families", "List the model families that can be trained, as Markdown");
  command->callback([] {
    print_line("| `model_type` | models | parity test |");
    print_line("| --- | --- | --- |");
    for (const models::KnownFamily& family : models::known_families()) {
      print_line("| `" + family.model_type + "` | " + family.models + " | `CausalLmParity.*/" +
                 family.model_type + "(_.*)?$` |");
    }
  });
}

}  // namespace ddro::cli
