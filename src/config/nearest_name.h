// The name that a user probably meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ddro::config {

// The one of `known` at the smallest edit distance from `name` (insert, delete, replace or swap neighbours,
// each 1); empty when none is within a third of the name's length (at least 1).
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

// The one of `known` that has `name` among its words (adapter_type for "type"); empty when none or several
// do.
std::string only_name_with(std::string_view name, const std::vector<std::string>& known);

}  // namespace ddro::config
