// The options of commands that read rows: those of a run's `data` section that say what a row becomes.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "ddro/data/data_options.h"

namespace ddro::cli {

struct RowArguments {
  std::vector<std::string> files;
  std::string layout = "auto";
  std::vector<std::string> columns;  // OURS=THEIRS
  std::optional<std::string> chat_template;
  std::string chat_template_kwargs = "{}";  // JSON
  bool parse_control_tokens = false;
};

// All but `files`, which each command names its own way.
void add_row_options(CLI::App* command, RowArguments& arguments);

// As a run would have them. Error(kInput) for what a run refuses.
data::DataOptions data_options(const RowArguments& arguments);

}  // namespace ddro::cli
