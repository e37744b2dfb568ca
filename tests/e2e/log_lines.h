// What a program says beside its log.
#pragma once

#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace ddro::test {

// The lines of stderr that the log does not have.
inline std::vector<std::string> lines_beside_log(const std::string& output) {
  static const std::regex log_line("[0-9]{2}:[0-9]{2}:[0-9]{2} (info|warning) .*");
  std::vector<std::string> lines;
  std::istringstream text(output);
  for (std::string line; std::getline(text, line);) {
    if (!std::regex_match(line, log_line)) lines.push_back(line);
  }
  return lines;
}

}  // namespace ddro::test
