// Strict JSON: valid UTF-8, no duplicate keys, bounded depth. nlohmann's parser underneath.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "ddro/base/error.h"

namespace ddro {

// Keeps the order of keys, as templates and re-written files need it.
using Json = nlohmann::ordered_json;

// Parses `text`; `where` ("file:line" or a path) begins each message. Throws Error(kind).
Json parse_json(std::string_view text, const std::string& where, ErrorKind kind, int max_depth = 64);

// The same, with integers that 64 bits do not hold kept to the last digit (up to 308 of them; they become
// floats otherwise). Such a value is no number to Json: big_integer_digits tells what it is.
Json parse_json_exactly(std::string_view text, const std::string& where, ErrorKind kind, int max_depth = 64);

// The digits of an integer that parse_json_exactly kept, after a - if it is negative; nothing for all other
// values.
std::optional<std::string> big_integer_digits(const Json& value);

// parse_json of a file's content.
Json read_json_file(const std::string& path, ErrorKind kind);

}  // namespace ddro
