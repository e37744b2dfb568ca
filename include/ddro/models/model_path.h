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

// Whether a folder holds an adapter (PEFT's adapter_config.json with its weights, or without a config.json),
// or a GGUF file is one. Error(kModel) for a broken GGUF file.
bool is_adapter(const std::filesystem::path& path);

// The folder (or GGUF file) of the base model that an adapter names: relative to the working directory or to
// the adapter's folder, or in the local Hugging Face cache. Error(kModel) when it is not there, and for a
// GGUF adapter that names none.
std::filesystem::path adapter_base(const std::filesystem::path& adapter_path);

// A model's path as an adapter names its base, so that it is found from wherever that is read: absolute,
// where there is such a path.
std::string recorded_name(const std::string& name_or_path);

}  // namespace ddro::models
