// The subcommands, each in a file of its own. Each function adds one whose callback runs the command.
#pragma once

#include <CLI/CLI.hpp>

namespace ddro::cli {

void add_config_command(CLI::App& app);
void add_doctor_command(CLI::App& app);
void add_eval_command(CLI::App& app);
void add_export_command(CLI::App& app);
void add_generate_command(CLI::App& app);
void add_loss_command(CLI::App& app);
void add_report_command(CLI::App& app);
void add_status_command(CLI::App& app);
void add_score_command(CLI::App& app);
void add_tokenize_command(CLI::App& app);
void add_train_command(CLI::App& app);
void add_inspect_cache_command(CLI::App& inspect);
void add_inspect_checkpoint_command(CLI::App& inspect);
void add_inspect_data_command(CLI::App& inspect);
void add_inspect_families_command(CLI::App& inspect);
void add_inspect_formats_command(CLI::App& inspect);
void add_inspect_layouts_command(CLI::App& inspect);
void add_inspect_model_command(CLI::App& inspect);

}  // namespace ddro::cli
