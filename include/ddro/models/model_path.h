// Where a model's folder is.
#pragma once

#include <filesystem>
#include <string>

namespace ddro::models {

// A folder as it is, or org/name looked up in the local Hugging Face cache (HF_HUB_CACHE, HF_HOME, ~/.cache),
// at the revision of its main branch. Error(kModel) that says how to download it when it is not there.
std::filesystem::path resolve_model_path(const std::string& name_or_path);

}  // namespace ddro::models
