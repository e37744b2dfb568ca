// Strict JSON: valid UTF-8, no duplicate keys, bounded depth. nlohmann's parser underneath.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "ddro/base/error.h"

namespace ddro {

// Keeps the order of keys, as templates and re-written files need it.
using Json = nlohmann::ordered_json;

// Parses `text`; `where` ("file:line" or a path) begins each message. Throws Error(kind).
Json parse_json(std::string_view text, const std::string& where, ErrorKind kind, int max_depth = 64);

// parse_json of a file's content.
Json read_json_file(const std::string& path, ErrorKind kind);

}  // namespace ddro
