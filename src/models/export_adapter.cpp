// An adapter as a PEFT folder.
#include "ddro/base/error.h"
#include "models/export.h"
#include "models/parameters.h"
#include "models/whole_folder.h"

namespace ddro::models {
namespace {

namespace fs = std::filesystem;

NamedTensors all_exported(const NamedTensors& tensors, ExportDType dtype) {
  NamedTensors result;
  for (const auto& [name, tensor] : tensors) result.emplace_back(name, exported(name, tensor, dtype));
  return result;
}

}  // namespace

std::vector<FolderFile> adapter_files(const ModelFolder& base, const Adapter& adapter,
                                      const ExportOptions& options) {
  std::vector<FolderFile> files = inference_files(base.path, adapter.tensors, options);
  std::erase_if(files, [](const FolderFile& file) { return file.name == "config.json"; });
  files.push_back({"adapter_config.json", adapter.config.dump(2) + "\n"});
  return files;
}

void export_adapter_folder(const ModelFolder& base, const Adapter& adapter, const NamedTensors& tensors,
                           const ExportOptions& options, const fs::path& out) {
  const fs::path target = checked_target(out);
  const std::vector<FolderFile> files = adapter_files(base, adapter, options);
  const NamedTensors matched = match_tensors(parameters_of(adapter.spec), tensors,
                                             {.where = "export",
                                              .kind = ErrorKind::kInput,
                                              .missing = "the adapter has it",
                                              .surplus = "is not the adapter's"});
  write_whole_folder(target, {.write =
                                  [&](const fs::path& folder) {
                                    write_tensors(folder / "adapter_model.safetensors",
                                                  all_exported(matched, options.dtype),
                                                  adapter_metadata(base.base_hash));
                                    write_files(folder, files);
                                  },
                              .check =
                                  [&](const fs::path& folder) {
                                    check_tensors(read_adapter(folder, base.spec, base.base_hash).tensors,
                                                  matched, options.dtype);
                                    check_files(folder, files);
                                  }});
}

}  // namespace ddro::models
