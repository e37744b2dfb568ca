// A folder that is written whole, or not at all.
#pragma once

#include <filesystem>
#include <functional>
#include <string_view>
#include <vector>

#include "ddro/models/model_folder.h"

namespace ddro::models {

// Where a new folder goes: `out` without a trailing separator and with links followed. Error(kInput) when it
// exists and is not an empty folder.
std::filesystem::path checked_target(const std::filesystem::path& out);

struct FolderContent {
  std::function<void(const std::filesystem::path&)> write;
  // Whether what was written is what is there: throws if not.
  std::function<void(const std::filesystem::path&)> check;
};

// Calls both with a temporary folder beside `target`, a checked_target, which then gets its name.
// Error(kSave) when something cannot be written, or `check` throws.
void write_whole_folder(const std::filesystem::path& target, const FolderContent& content);

void write_new_file(const std::filesystem::path& path, std::string_view text);
void write_files(const std::filesystem::path& folder, const std::vector<FolderFile>& files);

// Error(kSave) where what is there is not what was written. `tensors` in the order of `found`.
void check_files(const std::filesystem::path& folder, const std::vector<FolderFile>& files);
void check_tensors(const NamedTensors& found, const NamedTensors& tensors, ExportDType dtype);

}  // namespace ddro::models
