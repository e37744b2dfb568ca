// Where a model's folder is.
#pragma once

#include <filesystem>
#include <string>

namespace ddro::models {

// A folder or a GGUF file as it is, or org/name looked up in the local Hugging Face cache (HF_HUB_CACHE,
// HF_HOME, ~/.cache), at the revision of its main branch. Error(kModel) that says how to download it when it
// is not there.
std::filesystem::path resolve_model_path(const std::string& name_or_path);

// Whether a folder holds a model or an adapter, by the names of its files; or it is a GGUF file.
bool is_model_folder(const std::filesystem::path& folder);

// Whether a folder holds an adapter (PEFT's adapter_config.json with its weights, or without a config.json).
bool is_adapter_folder(const std::filesystem::path& folder);

// The folder (or GGUF file) of the base model that an adapter's folder names: relative to the working
// directory or to the adapter's folder, or in the local Hugging Face cache. Error(kModel) when it is not
// there.
std::filesystem::path adapter_base(const std::filesystem::path& adapter_folder);

}  // namespace ddro::models
