#include "ddro/base/nameless_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <span>
#include <string>

#include "base/file_calls.h"
#include "ddro/base/activity.h"
#include "ddro/base/error.h"
#include "ddro/base/files.h"

namespace ddro {
namespace {

// Not every file system has files that never had a name. -1 where there can be none.
int open_nameless(const std::filesystem::path& folder) {
  const int descriptor = open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
  if (descriptor >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return descriptor;
  std::string name = (folder / ".nameless_XXXXXX").string();
  const int named = mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) unlink(name.c_str());
  return named;
}

}  // namespace

NamelessFile::NamelessFile(const std::filesystem::path& folder)
    : shown_(folder / "(a file without a name)"), descriptor_(open_nameless(folder)) {
  if (descriptor_ < 0) throw save_error(files::where(shown_) + "cannot be created: " + files::reason());
}

NamelessFile::~NamelessFile() { close(descriptor_); }

void NamelessFile::write(std::string_view bytes) {
  files::write_all(descriptor_, std::as_bytes(std::span(bytes)), shown_);
}

std::filesystem::path NamelessFile::process_path() const {
  return "/proc/self/fd/" + std::to_string(descriptor_);
}

bool NamelessFile::publish(const std::filesystem::path& path) {
  files::refuse_irregular(path);
  const std::filesystem::path temporary = path.string() + ".tmp";
  std::error_code ignored;
  std::filesystem::remove(temporary, ignored);
  {
    const Doing disk(Activity::kDisk);
    if (fsync(descriptor_) != 0)
      throw save_error(files::where(shown_) + "cannot be synced: " + files::reason());
  }
  if (linkat(AT_FDCWD, process_path().c_str(), AT_FDCWD, temporary.c_str(), AT_SYMLINK_FOLLOW) != 0)
    return false;
  rename_durable(temporary, path);
  return true;
}

}  // namespace ddro
