// Exclusive ownership of something, between processes.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace ddro {

// An advisory lock (flock) on a file made for it, which names its holder: process, host and time. A killed
// holder holds nothing; programs that the holder starts do not inherit it. The file stays when the lock ends.
class FileLock {
 public:
  // Opens or makes the file, whose folder exists; nothing is locked yet. Error(kSave) naming it when it
  // cannot.
  explicit FileLock(const std::filesystem::path& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  // False when another holder has it. Error(kSave) when the file's disk knows no locks.
  bool try_lock();
  // "process 17 on host since 2026-01-31T10:00:00Z", as the last one that locked it wrote.
  std::string holder() const;

  // The holder of the lock on `path`, if there is one; nothing is changed, and the file need not be there.
  static std::optional<std::string> holder_of(const std::filesystem::path& path);

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace ddro
