#include "run/folder_safety.h"

#include <sys/stat.h>

#include <cstdio>
#include <string>
#include <vector>

#include "ddro/base/log.h"

namespace ddro::run {
namespace {

namespace fs = std::filesystem;

std::string where(const fs::path& path) { return "[" + printable(path.string(), 400) + "] "; }

struct Rights {
  fs::path path;
  mode_t mode = 0;

  std::string shown() const {
    char digits[16];
    std::snprintf(digits, sizeof digits, "%04o", mode & 07777U);
    return where(path) + "(mode " + digits + ")";
  }
};

// A path that is not there has no rights.
Rights rights_of(const fs::path& path) {
  struct stat info {};
  return {path, stat(path.c_str(), &info) == 0 ? info.st_mode : mode_t{0}};
}

// In a folder with the sticky bit, such as /tmp, nobody takes away or renames what is another's.
Rights of_parent(const fs::path& folder) {
  Rights rights = rights_of(folder);
  if ((rights.mode & S_ISVTX) != 0) rights.mode = 0;
  return rights;
}

std::vector<Rights> rights_over(const fs::path& checkpoint) {
  const fs::path folder = fs::absolute(checkpoint);
  std::vector<Rights> all = {of_parent(folder.parent_path().parent_path()), of_parent(folder.parent_path()),
                             rights_of(folder)};
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    all.push_back(rights_of(entry->path()));
  return all;
}

const Rights* first_with(const std::vector<Rights>& all, mode_t right) {
  for (const Rights& each : all) {
    if ((each.mode & right) != 0) return &each;
  }
  return nullptr;
}

}  // namespace

void refuse_links(const fs::path& output_dir) {
  for (const char* name : {"checkpoints", "ref_cache", "token_cache", "reference", "metrics.jsonl",
                           "mlflow.jsonl", "samples.jsonl"}) {
    std::error_code ignored;
    if (!fs::is_symlink(output_dir / name, ignored)) continue;
    throw input_error(where(output_dir / name) +
                      "is a symbolic link; a run writes below train.output_dir alone; make train.output_dir "
                      "itself the link, or give another folder by the key, where there is one");
  }
}

void check_writers(const checkpoint::Checkpoint& from, bool allow_world_writable) {
  const std::vector<Rights> all = rights_over(from.path);
  const Rights* world = first_with(all, S_IWOTH);
  if (world != nullptr && !allow_world_writable) {
    throw model_error(world->shown() +
                      " can be written by every user, who could have changed the checkpoint; take the right "
                      "away (chmod -R o-w), or set checkpoint.allow_world_writable");
  }
  const Rights* group = first_with(all, S_IWGRP);
  if (world == nullptr && group != nullptr)
    log_warning(group->shown() + " can be written by its group: the checkpoint is theirs to change");
}

}  // namespace ddro::run
