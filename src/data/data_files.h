// Which files a set is made of.
#pragma once

#include <string>
#include <vector>

namespace ddro::data {

// The paths that `patterns` name, in order; the matches of one glob are sorted by their bytes. A pattern that
// is the name of a file is that file. Error(kInput) for a pattern that matches nothing, a folder, or a format
// that is not read.
std::vector<std::string> expand_patterns(const std::vector<std::string>& patterns);

// A path as it stands in "file:line" and in messages.
std::string shown_path(const std::string& path);

}  // namespace ddro::data
