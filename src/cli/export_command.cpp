
#include <memory>
#include <optional>

#include "cli/commands.h"
#include "ddro/base/files.h"
#include "ddro/base/log.h"
#include "ddro/checkpoint/checkpoint.h"
#include "ddro/models/gguf_export.h"
#include "ddro/models/model_folder.h"
#include "ddro/models/model_options.h"
#include "ddro/models/packed_base.h"
#include "ddro/run/gguf_model.h"
#include "ddro/run/model_card.h"

namespace ddro::cli {
namespace {

struct ExportArguments {
  std::string checkpoint;
  std::string base;
  std::string out;
  std::string dtype = "keep";
  std::string adapter = "separate";
};

enum class Blocks { kUnpacked, kPacked };  // of a GGUF file

models::ModelFolder open_source(const ExportArguments& arguments, Blocks blocks) {
  const bool packed = blocks == Blocks::kPacked;
  if (arguments.base.empty()) {
    return packed ? models::open_packed_folder(arguments.checkpoint)
                  : models::open_model_folder(arguments.checkpoint);
  }
  const auto base = models::resolve_model_path(arguments.base);
  models::ModelFolder folder = packed ? models::open_packed_adapter_folder(arguments.checkpoint, base)
                                      : models::open_adapter_folder(arguments.checkpoint, base);
  folder.adapter->config["base_model_name_or_path"] = models::recorded_name(arguments.base);
  return folder;
}

// Weights in the type of the base's, unless another is asked for.
void export_merged(const models::ModelFolder& folder, models::ExportOptions options, const std::string& out) {
  const models::ModelFolder merged = models::merge_adapter(folder, at::kFloat);
  const at::ScalarType base = folder.tensors.front().second.scalar_type();
  if (options.dtype == models::ExportDType::kKeep && base == at::kBFloat16)
    options.dtype = models::ExportDType::kBFloat16;
  if (options.dtype == models::ExportDType::kKeep && base == at::kHalf)
    options.dtype = models::ExportDType::kFloat16;
  models::export_model_folder(folder.path, merged.tensors, options, out);
}

// Of a checkpoint, which is checked against its manifest; a README.md of any other folder may speak of
// another model.
std::optional<std::string> card_of(const std::filesystem::path& source, bool merged) {
  std::error_code ignored;
  if (!std::filesystem::exists(source / "manifest.json", ignored)) return std::nullopt;
  const checkpoint::Checkpoint checkpoint = checkpoint::open_checkpoint(source);
  if (!checkpoint.manifest.at("files").contains("README.md")) return std::nullopt;  // of an older version
  const std::string card = read_file(source / "README.md", ErrorKind::kModel);
  return merged ? run::merged_card(card) : card;
}

void export_gguf(const ExportArguments& arguments, models::AdapterExport adapter) {
  const auto dtype = parse_enum<models::GgufDType>("--dtype", arguments.dtype);
  const std::filesystem::path target = models::checked_gguf_target(arguments.out);
  const models::ModelFolder folder = open_source(arguments, Blocks::kPacked);
  if (!folder.adapter) {
    run::export_gguf_model(folder, dtype, target);
  } else if (adapter == models::AdapterExport::kMerged) {
    run::export_gguf_model(models::merge_adapter(folder, at::kFloat), dtype, target);
  } else {
    run::check_gguf_adapter_dtype(dtype, "--dtype");
    models::export_gguf_adapter(folder.spec, *folder.adapter, folder.base_hash, target);
  }
}

void export_folder(const ExportArguments& arguments, models::AdapterExport adapter,
                   const std::optional<std::string>& card) {
  const auto dtype = parse_enum<models::ExportDType>("--dtype", arguments.dtype);
  const models::ModelFolder folder = open_source(arguments, Blocks::kUnpacked);
  models::ExportOptions options{.dtype = dtype, .model_card = card};
  if (folder.adapter) options.text_folder = folder.adapter_path;
  if (!folder.adapter) {
    models::export_model_folder(folder.path, folder.tensors, options, arguments.out);
  } else if (adapter == models::AdapterExport::kMerged) {
    export_merged(folder, options, arguments.out);
  } else {
    models::export_adapter_folder(folder, *folder.adapter, folder.adapter->tensors, options, arguments.out);
  }
}

// Any other folder than a checkpoint's has to be a whole model folder.
void run_export(const ExportArguments& arguments) {
  const auto adapter = parse_enum<models::AdapterExport>("--adapter", arguments.adapter);
  const auto card = card_of(arguments.checkpoint, adapter == models::AdapterExport::kMerged);
  if (std::filesystem::path(arguments.out).extension() == ".gguf") {
    export_gguf(arguments, adapter);
  } else {
    export_folder(arguments, adapter, card);
  }
  log_info("exported " + arguments.out);
}

}  // namespace

void add_export_command(CLI::App& app) {
  auto arguments = std::make_shared<ExportArguments>();
  CLI::App* command =
      app.add_subcommand("export", "Writes a checkpoint as a Hugging Face folder, or as a GGUF file");
  command
      ->add_option("checkpoint", arguments->checkpoint,
                   "A run's checkpoints/step_NNNNNN, a model folder, or a .gguf file")
      ->required();
  command->add_option("--base", arguments->base,
                      "Of an adapter: its base model (default: the one that its files name)");
  command
      ->add_option("--out", arguments->out,
                   "Folder to make, or NAME.gguf: a model or an adapter as llama.cpp loads it")
      ->required();
  command
      ->add_option("--dtype", arguments->dtype,
                   "keep, float32, bfloat16 or float16; of a GGUF file q8_0, too")
      ->capture_default_str();
  command
      ->add_option("--adapter", arguments->adapter,
                   "Of an adapter: separate (a PEFT folder) or merged (a whole model)")
      ->capture_default_str();
  command->callback([arguments] { run_export(*arguments); });
}

}  // namespace ddro::cli
