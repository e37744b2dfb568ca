
#include <memory>

#include "cli/commands.h"
#include "ddro/base/files.h"
#include "ddro/base/log.h"
#include "ddro/checkpoint/checkpoint.h"
#include "ddro/models/model_folder.h"

namespace ddro::cli {
namespace {

struct ExportArguments {
  std::string checkpoint;
  std::string out;
  std::string dtype = "keep";
};

// A checkpoint's folder is checked against its manifest; any other folder has to be a whole model folder.
void run_export(const ExportArguments& arguments) {
  const models::ExportDType dtype = parse_enum<models::ExportDType>("--dtype", arguments.dtype);
  const std::filesystem::path source = arguments.checkpoint;
  std::error_code ignored;
  if (std::filesystem::exists(source / "manifest.json", ignored)) checkpoint::open_checkpoint(source);
  const models::ModelFolder folder = models::open_model_folder(source);
  models::export_model_folder(folder.path, folder.tensors, {.dtype = dtype}, arguments.out);
  log_info("exported " + arguments.out);
}

}  // namespace

void add_export_command(CLI::App& app) {
  auto arguments = std::make_shared<ExportArguments>();
  CLI::App* command = app.add_subcommand("export", "Writes a checkpoint as a Hugging Face folder");
  command
      ->add_option("checkpoint", arguments->checkpoint, "A run's checkpoints/step_NNNNNN, or a model folder")
      ->required();
  command->add_option("--out", arguments->out, "Folder to make")->required();
  command->add_option("--dtype", arguments->dtype, "keep, float32, bfloat16 or float16")
      ->capture_default_str();
  command->callback([arguments] { run_export(*arguments); });
}

}  // namespace ddro::cli
