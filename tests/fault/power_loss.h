// A loss of power: what tests/fault/disk_faults.cpp has kept of a folder is put in its place.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "fault/disk_entries.h"

namespace ddro::test {

// File systems promise what was synced, and differ in the rest.
enum class Unsynced {
  kLost,      // neither bytes nor names are there that were not synced
  kNamesKept  // names are as they were at last; bytes that were not synced are not there
};

// Before a program starts that has `folder` as its DDRO_DISK and `durable` as its DDRO_DISK_DURABLE: what is
// there has been there for long.
inline void keep_all(const std::filesystem::path& folder, const std::filesystem::path& durable) {
  std::filesystem::remove_all(durable);
  std::filesystem::create_directory(durable);
  if (!std::filesystem::exists(folder)) return;
  const auto keep = [&](const std::filesystem::path& path) {
    std::ofstream kept(durable / disk_key(path), std::ios::binary);
    if (std::filesystem::is_directory(path)) {
      kept << entries_text(path);
    } else {
      kept << std::ifstream(path, std::ios::binary).rdbuf();
    }
  };
  keep(folder);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) keep(entry.path());
}

class PowerLoss {
 public:
  // After the program has ended.
  PowerLoss(std::filesystem::path folder, std::filesystem::path durable)
      : folder_(std::move(folder)), durable_(std::move(durable)) {
    if (!std::filesystem::exists(folder_)) return;
    now_[disk_key(folder_)] = folder_;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
      if (entry.is_directory()) now_[disk_key(entry.path())] = entry.path();
    }
  }

  // `unsynced` is asked for each folder.
  void apply(const std::function<Unsynced()>& unsynced) const {
    if (now_.empty()) return;
    const std::filesystem::path after = folder_.string() + ".after";
    rebuild(disk_key(folder_), after, unsynced);
    std::filesystem::remove_all(folder_);
    std::filesystem::rename(after, folder_);
  }

 private:
  std::vector<DiskEntry> synced_entries(const std::string& key) const {
    std::vector<DiskEntry> entries;
    std::ifstream file(durable_ / key);
    for (std::string line; std::getline(file, line);) entries.push_back(DiskEntry::of(line));
    return entries;
  }

  void rebuild(const std::string& key, const std::filesystem::path& after,
               const std::function<Unsynced()>& unsynced) const {
    std::filesystem::create_directory(after);
    const auto now = now_.find(key);
    const bool names_kept = unsynced() == Unsynced::kNamesKept && now != now_.end();
    for (const DiskEntry& entry : names_kept ? disk_entries(now->second) : synced_entries(key)) {
      if (entry.is_folder) {
        rebuild(entry.key, after / entry.name, unsynced);
      } else {
        std::ofstream(after / entry.name, std::ios::binary) << std::ifstream(durable_ / entry.key).rdbuf();
      }
    }
  }

  std::filesystem::path folder_;
  std::filesystem::path durable_;
  std::map<std::string, std::filesystem::path> now_;  // the folders that are there, by key
};

}  // namespace ddro::test
