// The failpoints of the program, as its sources name them.
#pragma once

#include <filesystem>
#include <regex>
#include <set>
#include <string>

#include "ddro/base/files.h"
#include "support/fixtures.h"

namespace ddro::test {

inline std::set<std::string> named_failpoints() {
  std::set<std::string> names;
  const std::regex call("failpoint\\(\"([^\"]+)\"\\)");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source_path("src"))) {
    if (entry.path().extension() != ".cpp") continue;
    const std::string text = read_file(entry.path());
    for (std::sregex_iterator found(text.begin(), text.end(), call), end; found != end; ++found)
      names.insert((*found)[1]);
  }
  return names;
}

}  // namespace ddro::test
