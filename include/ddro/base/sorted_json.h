// parse_json into objects that are sorted by key, for those with so many that they are looked up by it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "ddro/base/error.h"

namespace ddro {

using SortedJson = nlohmann::json;

SortedJson parse_sorted_json(std::string_view text, const std::string& where, ErrorKind kind,
                             int max_depth = 64);

}  // namespace ddro
