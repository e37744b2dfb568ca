// The file that makes a folder a checkpoint.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "ddro/base/json.h"

namespace ddro::checkpoint {

inline constexpr const char* kManifestName = "manifest.json";

// "step_000100"; more digits when needed.
std::string step_folder_name(std::int64_t step);

// The step in the name of a checkpoint's folder; nullopt for other names.
std::optional<std::int64_t> step_of_folder_name(const std::string& name);

// NAME or FOLDER/NAME, both plain, and not the manifest's.
bool is_file_name(const std::string& name);

// The manifest's text; `files` maps names to {"bytes", "xxh3_128"}.
std::string manifest_text(std::int64_t step, const Json& files, const Json& description);

// Reads the manifest of `folder` and checks it: byte for byte what manifest_text wrote, sound file names, the
// folder's step. Error(kModel).
Json read_manifest(const std::filesystem::path& folder);

}  // namespace ddro::checkpoint
