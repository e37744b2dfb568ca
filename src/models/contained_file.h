// Files of a model folder, reached without leaving it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace ddro::models {

// folder/name, or folder/subfolder/name, or nothing when there is none. Error(kModel) for a name that is not
// plain (separators, "..", control characters), for a link out of the folder other than the Hugging Face
// cache's own, and for what is not a file.
std::optional<std::filesystem::path> find_contained_file(const std::filesystem::path& folder,
                                                         const std::string& name,
                                                         const std::string& subfolder = "");

}  // namespace ddro::models
