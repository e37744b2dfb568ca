// Lines of a file that is perhaps still being written.
#pragma once

#include <filesystem>
#include <functional>

#include "ddro/base/json.h"

namespace ddro::report {

// Calls `visit(object, "file:line")` for each line. Returns false when the last line is incomplete (no
// newline), which is left out. Error(kInput) naming file and line for one that is not a JSON object.
bool read_json_lines(const std::filesystem::path& path,
                     const std::function<void(const Json& line, const std::string& where)>& visit);

// The step of a line; Error(kInput) unless it is an integer of at least 0.
std::int64_t step_of(const Json& line, const std::string& where);

}  // namespace ddro::report
