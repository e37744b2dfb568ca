// The entries of a folder by keys that stay while a file is renamed and that no later one gets again.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <sstream>
#include <string>
#include <vector>

namespace ddro::test {

// Empty when there is none.
inline std::string disk_key(int folder, const std::string& name) {
  struct statx info {};
  if (statx(folder, name.c_str(), AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &info) != 0) return "";
  return std::to_string(info.stx_ino) + "-" + std::to_string(info.stx_btime.tv_sec) + "-" +
         std::to_string(info.stx_btime.tv_nsec);
}
inline std::string disk_key(const std::string& path) { return disk_key(AT_FDCWD, path); }

struct DiskEntry {
  bool is_folder = false;
  std::string key;
  std::string name;

  std::string line() const { return (is_folder ? "folder " : "file ") + key + " " + name + "\n"; }
  static DiskEntry of(const std::string& line) {
    std::istringstream words(line);
    DiskEntry entry;
    std::string kind;
    words >> kind >> entry.key >> std::ws;
    entry.is_folder = kind == "folder";
    std::getline(words, entry.name);
    return entry;
  }
};

inline std::vector<DiskEntry> disk_entries(const std::string& path) {
  std::vector<DiskEntry> entries;
  DIR* const folder = opendir(path.c_str());
  while (const dirent* const found = folder != nullptr ? readdir(folder) : nullptr) {
    const std::string name = found->d_name;
    const std::string key = disk_key(dirfd(folder), name);
    if (name != "." && name != ".." && !key.empty()) entries.push_back({found->d_type == DT_DIR, key, name});
  }
  if (folder != nullptr) closedir(folder);
  return entries;
}

// A line an entry.
inline std::string entries_text(const std::string& path) {
  std::string text;
  for (const DiskEntry& entry : disk_entries(path)) text += entry.line();
  return text;
}

}  // namespace ddro::test
