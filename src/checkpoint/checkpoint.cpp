#include "ddro/checkpoint/checkpoint.h"

#include <algorithm>

#include "checkpoint/manifest.h"
#include "ddro/base/files.h"
#include "ddro/base/hash.h"
#include "ddro/base/interruption.h"
#include "ddro/base/log.h"

namespace ddro::checkpoint {
namespace {

constexpr const char* kTrashPrefix = ".trash_";

Error refusal(const std::filesystem::path& path, const std::string& what) {
  return model_error("[" + printable(path.string(), 400) + "] " + what);
}

// The names in a folder; none when it does not exist. Error(kModel) when it cannot be read.
std::vector<std::string> entries_of(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  if (!std::filesystem::exists(folder, error)) return names;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) throw refusal(folder, "cannot be listed: " + error.message());
  return names;
}

// The same for a checkpoint, whose folders count by what is in them.
std::vector<std::string> files_below(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const std::string& name : entries_of(folder)) {
    if (!std::filesystem::is_directory(std::filesystem::symlink_status(folder / name))) {
      names.push_back(name);
      continue;
    }
    for (const std::string& inner : entries_of(folder / name)) names.push_back(name + "/" + inner);
  }
  return names;
}

struct StepFolder {
  std::int64_t step = 0;
  std::filesystem::path path;
};

// Newest first.
std::vector<StepFolder> step_folders(const std::filesystem::path& folder) {
  std::vector<StepFolder> found;
  for (const std::string& name : entries_of(folder)) {
    if (const auto step = step_of_folder_name(name)) found.push_back({*step, folder / name});
  }
  std::sort(found.begin(), found.end(),
            [](const StepFolder& a, const StepFolder& b) { return a.step > b.step; });
  return found;
}

void check_file(const std::filesystem::path& path, const Json& entry) {
  std::error_code error;
  const auto status = std::filesystem::symlink_status(path, error);
  if (!std::filesystem::exists(status)) throw refusal(path, "is missing");
  if (!std::filesystem::is_regular_file(status)) throw refusal(path, "is not a regular file");
  const std::uint64_t size = std::filesystem::file_size(path, error);
  if (error) throw refusal(path, "cannot be read: " + error.message());
  const auto expected = entry.at("bytes").get<std::uint64_t>();
  if (size != expected) {
    throw refusal(path, "has the wrong size; got " + std::to_string(size) + " bytes, expected " +
                            std::to_string(expected));
  }
  if (hash_file(path, ErrorKind::kModel) != entry.at("xxh3_128").get<std::string>()) {
    throw refusal(path, "is damaged: its content does not have the hash that the manifest states");
  }
}

void remove_folder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) log_warning("[" + printable(path.string(), 400) + "] cannot be removed: " + error.message());
}

bool verifies(const std::filesystem::path& path) {
  try {
    open_checkpoint(path);
    return true;
  } catch (const Error& error) {
    log_warning(std::string(error.what()) + "; no older checkpoint is removed");
    return false;
  }
}

}  // namespace

Checkpoint open_checkpoint(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) {
    throw refusal(path, std::filesystem::exists(path, ignored) ? "is not a folder" : "does not exist");
  }
  // A trailing slash would hide the folder's name.
  Checkpoint checkpoint{path.filename().empty() ? path.parent_path() : path, 0, Json()};
  checkpoint.manifest = read_manifest(checkpoint.path);
  checkpoint.step = checkpoint.manifest.at("step").get<std::int64_t>();
  const Json& files = checkpoint.manifest.at("files");
  for (const auto& [name, entry] : files.items()) {
    leave_if_interrupted();
    check_file(checkpoint.path / name, entry);
  }
  for (const std::string& name : files_below(checkpoint.path)) {
    if (name != kManifestName && !files.contains(name))
      throw refusal(checkpoint.path / name, "is not in the manifest");
  }
  return checkpoint;
}

std::optional<Checkpoint> newest_checkpoint(const std::filesystem::path& folder) {
  const std::vector<StepFolder> found = step_folders(folder);
  if (found.empty()) return std::nullopt;
  std::string newest_reason;
  for (const StepFolder& candidate : found) {
    try {
      return open_checkpoint(candidate.path);
    } catch (const Error& error) {
      if (newest_reason.empty()) newest_reason = error.what();
      log_warning(std::string(error.what()) + "; an older checkpoint is looked for");
    }
  }
  throw refusal(folder, "none of its " + std::to_string(found.size()) +
                            " checkpoints can be used; the newest: " + newest_reason);
}

void rotate_checkpoints(const std::filesystem::path& folder, std::int64_t keep) {
  DDRO_CHECK(keep >= 1, "at least one checkpoint is kept");
  for (const std::string& name : entries_of(folder)) {
    const bool interrupted = name.ends_with(".tmp") && step_of_folder_name(name.substr(0, name.size() - 4));
    const bool trash = name.starts_with(kTrashPrefix);
    if (interrupted || trash) remove_folder(folder / name);
  }
  const std::vector<StepFolder> found = step_folders(folder);
  if (found.size() <= static_cast<size_t>(keep) || !verifies(found.front().path)) return;
  for (size_t i = static_cast<size_t>(keep); i < found.size(); ++i) {
    const std::filesystem::path trash = folder / (kTrashPrefix + found[i].path.filename().string());
    rename_durable(found[i].path, trash);
    failpoint("checkpoint.rotate_renamed");
    remove_folder(trash);
    failpoint("checkpoint.rotate_removed");
  }
}

void set_aside_after(const std::filesystem::path& folder, std::int64_t step) {
  for (const StepFolder& found : step_folders(folder)) {
    if (found.step <= step) continue;
    std::filesystem::path aside = found.path;
    aside += ".abandoned";
    remove_folder(aside);
    rename_durable(found.path, aside);
    log_warning("set aside " + aside.string() + ": the run goes on from step " + std::to_string(step));
  }
}

}  // namespace ddro::checkpoint
