// Programs whose disk fails: see tests/fault/disk_faults.cpp for the settings.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "support/fixtures.h"

namespace ddro::test {

// The environment of a program that has such a disk in `folder`.
inline std::vector<std::string> faulty_disk(const std::filesystem::path& folder,
                                            std::vector<std::string> settings) {
  settings.push_back("LD_PRELOAD=" + environment_path("DDRO_DISK_FAULTS").string());
  settings.push_back("DDRO_DISK=" + folder.string());
  return settings;
}

}  // namespace ddro::test
