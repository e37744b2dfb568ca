// Hugging Face model folders, in and out.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ddro/base/tensor_io.h"
#include "ddro/models/model_config.h"

namespace ddro::models {

struct ModelFolder {
  std::filesystem::path path;
  ModelConfig config;
  Json config_json;
  NamedTensors tensors;       // over the mapped files; names as Hugging Face's; tied heads absent
  std::string weights_hash;   // of names, dtypes, shapes and bytes: equal for equal weights, however sharded
};

// A folder as it is, or org/name looked up in the local Hugging Face cache (HF_HUB_CACHE, HF_HOME, ~/.cache). Error(kModel)
// that says how to download it when it is not there.
std::filesystem::path resolve_model_path(const std::string& name_or_path);

// Reads config.json and model.safetensors or the shards of model.safetensors.index.json (file names must stay inside the
// folder). Every parameter the configuration calls for must be there with its shape; unknown tensors are refused,
// rotary inverse frequencies ignored. A folder with pickle files only is refused with the way to convert it.
ModelFolder open_model_folder(const std::filesystem::path& path);

// The files beside the weights that belong to a model folder and exist in this one: config.json, generation_config.json,
// tokenizer and chat template files.
std::vector<std::filesystem::path> auxiliary_files(const std::filesystem::path& folder);

enum class ExportDType { kKeep, kFloat32, kBFloat16, kFloat16 };

// Writes a Hugging Face folder: config.json (its dtype updated), model.safetensors (shards above 5 GB, with an index),
// tokenizer files, generation_config.json, chat template copied from `source_folder`. Written to a temporary folder,
// synced, re-read and compared tensor by tensor, then renamed to `out`, which must not exist or be an empty folder
// (Error(kInput) otherwise; Error(kSave) when writing or the comparison fails).
void export_model_folder(const std::filesystem::path& source_folder, const NamedTensors& tensors, ExportDType dtype,
                         const std::filesystem::path& out);

}  // namespace ddro::models
