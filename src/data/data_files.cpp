#include "data/data_files.h"

#include <glob.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "data/file_formats.h"
#include "ddro/base/error.h"

namespace ddro::data {
namespace {

constexpr std::array<const char*, 6> kOtherFormats = {".bz2", ".csv", ".tar", ".tsv", ".xz", ".zip"};

std::vector<std::string> matches_of(const std::string& pattern) {
  std::error_code ignored;
  if (std::filesystem::exists(pattern, ignored)) return {pattern};
  glob_t found{};
  const int failure = ::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found);
  std::vector<std::string> paths;
  if (failure == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  if (failure != 0 && failure != GLOB_NOMATCH) {
    throw input_error("[data] " + shown_path(pattern) + ": cannot be searched for; " + std::strerror(errno));
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// Pipes and devices could be waited for without end, and could not be read again on a resume.
void check_file(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    throw input_error("[data] " + shown_path(path) + ": is a folder; name its files, such as " +
                      shown_path((std::filesystem::path(path) / "*.jsonl").string()));
  }
  if (!std::filesystem::is_regular_file(path, ignored))
    throw input_error("[data] " + shown_path(path) + ": is not a regular file");
  for (const char* ending : kOtherFormats) {
    if (!path.ends_with(ending)) continue;
    throw input_error("[data] " + shown_path(path) + ": " + ending + " files are not read; expected " +
                      format_names());
  }
}

}  // namespace

std::string shown_path(const std::string& path) { return printable(path, 400); }

std::vector<std::string> expand_patterns(const std::vector<std::string>& patterns) {
  std::vector<std::string> paths;
  for (const std::string& pattern : patterns) {
    const std::vector<std::string> matches = matches_of(pattern);
    if (matches.empty()) {
      throw input_error("[data] " + shown_path(pattern) +
                        ": no such file; relative paths are relative to the working directory");
    }
    for (const std::string& path : matches) check_file(path);
    paths.insert(paths.end(), matches.begin(), matches.end());
  }
  return paths;
}

}  // namespace ddro::data
